//! The audit: everything that was said against everything that was kept.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::clients::{signed, version};
use super::site::Site;
use super::watch::{Calls, Feed, Told, told};
use super::world::{COUNTED, KEYED, KEYLESS, Known, PLACE, RESERVED, World, products};
use crate::Failure;

/// How long what is on its way may take to arrive.
const PATIENCE: Duration = Duration::from_secs(600);

const LOOK: Duration = Duration::from_millis(200);

/// A level as it is read, with its journal.
struct Kept {
    available: i64,
    reserved: i64,
    journal: BTreeMap<u64, Told>,
}

/// Waits until all is at rest and holds it together; the violations.
pub(super) async fn audit(
    site: &Site,
    world: &World,
    feed: &Feed,
    calls: &Calls,
    report: &mut String,
) -> Result<Vec<String>, Failure> {
    rest(site, world).await?;
    let mut kept = BTreeMap::new();
    for product in products() {
        kept.insert(product, read(site, product).await?);
    }
    let changes: usize = kept.values().map(|level| level.journal.len()).sum();
    let mut violations = std::mem::take(&mut world.known().violations);
    if !eventually(|| feed.followed().changes.len() >= changes).await {
        violations.push(format!("the feed has {} of {changes} changes", feed.followed().changes.len()));
    }
    if !eventually(|| calls.called().ids.len() >= changes).await {
        violations.push(format!("callbacks told {} of {changes} changes", calls.called().ids.len()));
    }
    let ends = ends(site, world).await?;
    let known = world.known();
    for (product, level) in &kept {
        journal(product, level, &known, &mut violations);
    }
    requests(&known, &kept, &mut violations);
    counts(&known, &kept, &mut violations);
    reservations(&known, &ends, &kept, &mut violations);
    told_alike(&kept, feed, calls, &mut violations);
    for ((kind, outcome), count) in &known.tally {
        writeln!(report, "{kind:<20} {outcome:<14} {count:>9}")?;
    }
    for state in ["held", "released", "fulfilled", "expired"] {
        let count = ends.values().filter(|end| *end == state).count();
        writeln!(report, "{:<20} {state:<14} {count:>9}", "reservation at end")?;
    }
    let called = calls.called();
    writeln!(report, "changes in journals: {changes}, in the feed: {}", feed.followed().changes.len())?;
    writeln!(
        report,
        "callbacks: {} changes told in {} deliveries, {} more were refused by the receiver",
        called.ids.len(),
        called.deliveries,
        called.refused
    )?;
    Ok(violations)
}

async fn eventually(reached: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if reached() {
            return true;
        }
        sleep(LOOK).await;
    }
    reached()
}

/// Waits until the queue is empty and what has run out is given back.
async fn rest(site: &Site, world: &World) -> Result<(), Failure> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let health = site.ask("GET", "/health", None).await?.expect(200)?;
        let queue = health.pointer("/data/queue").ok_or("health does not tell of the queue")?;
        if signed(queue, "dead")? != 0 {
            world.violated(format!("dead letters: {queue}"));
        }
        if signed(queue, "waiting")? == 0 && signed(queue, "inFlight")? == 0 {
            // Reservations live 3 s or for ever; they are swept each second, and settled by the stream.
            sleep(Duration::from_secs(8)).await;
            return Ok(());
        }
        sleep(LOOK).await;
    }
    Err("the queue does not empty".into())
}

async fn read(site: &Site, product: &str) -> Result<Kept, Failure> {
    let level = site.ask("GET", &format!("/inventory/{product}?storeId={PLACE}"), None).await?.expect(200)?;
    let mut journal = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/inventory/{product}/history?storeId={PLACE}&limit=500&cursor={cursor}");
        let page = site.ask("GET", &path, None).await?.expect(200)?;
        for item in page.get("items").and_then(Value::as_array).ok_or("a history has no items")? {
            journal.insert(version(item, "version")?, told(item)?);
        }
        match page.get("nextCursor").and_then(Value::as_str) {
            Some(next) if !next.is_empty() => next.clone_into(&mut cursor),
            _ => break,
        }
    }
    let last = version(&level, "version")?;
    if journal.len() != usize::try_from(last)? || journal.last_key_value().map(|(version, _)| *version) != Some(last) {
        return Err(format!("{product}: version {last}, {} changes in its journal", journal.len()).into());
    }
    Ok(Kept { available: signed(&level, "available")?, reserved: signed(&level, "reserved")?, journal })
}

/// How each reservation ended.
async fn ends(site: &Site, world: &World) -> Result<BTreeMap<String, String>, Failure> {
    let ids: Vec<_> = world.known().reservations.keys().cloned().collect();
    let mut ends = BTreeMap::new();
    for id in ids {
        let body = site.ask("GET", &format!("/reservations/{id}"), None).await?.expect(200)?;
        ends.insert(id, body.get("state").and_then(Value::as_str).unwrap_or_default().to_owned());
    }
    Ok(ends)
}

/// A level is the sum of its journal, which never falls below 0 here and holds every answer.
fn journal(product: &str, level: &Kept, known: &Known, violations: &mut Vec<String>) {
    let mut sum = 0;
    for (version, (event, delta, quantity)) in &level.journal {
        sum += delta;
        if sum != *quantity || sum < 0 {
            violations.push(format!("{product}: version {version} ({event}) says {quantity}, the sum is {sum}"));
        }
    }
    if sum != level.available {
        violations.push(format!("{product}: {} available, {sum} by its journal", level.available));
    }
    for ((of, version), (delta, quantity)) in known.answers.iter().filter(|((of, _), _)| *of == product) {
        let kept = level.journal.get(version).map(|(_, delta, quantity)| (*delta, *quantity));
        if kept != Some((*delta, *quantity)) {
            violations.push(format!("{of}: version {version} was answered as {delta} to {quantity}, kept is {kept:?}"));
        }
    }
}

/// With keys each effect is known. Without, what was not answered may have happened.
fn requests(known: &Known, kept: &BTreeMap<&str, Kept>, violations: &mut Vec<String>) {
    for product in KEYED.into_iter().chain(KEYLESS) {
        let Some(level) = kept.get(product) else { continue };
        let mut unknown = known.unknown.get(product).cloned().unwrap_or_default();
        for (version, (event, delta, _)) in &level.journal {
            if known.answers.contains_key(&(product, *version)) {
                continue;
            }
            match unknown.iter().position(|sent| sent == delta) {
                Some(place) => drop(unknown.swap_remove(place)),
                None => violations.push(format!("{product}: nobody asked for version {version}: {delta} by {event}")),
            }
        }
    }
}

/// The newest acknowledged count stands; none was applied twice, and none over a newer one.
fn counts(known: &Known, kept: &BTreeMap<&str, Kept>, violations: &mut Vec<String>) {
    for product in COUNTED {
        let (Some(level), Some((units, sent))) = (kept.get(product), known.counts.get(product)) else { continue };
        if level.available != *units {
            violations.push(format!("{product}: {units} was acknowledged last, {} stands", level.available));
        }
        let stated: Vec<_> = level.journal.values().map(|(_, _, quantity)| *quantity).collect();
        if !stated.is_sorted_by(|one, next| one < next) || u64::try_from(stated.len()).is_ok_and(|len| len > *sent) {
            violations.push(format!("{product}: its {} counts of {sent} are not each newer", stated.len()));
        }
    }
}

fn reservations(
    known: &Known,
    ends: &BTreeMap<String, String>,
    kept: &BTreeMap<&str, Kept>,
    violations: &mut Vec<String>,
) {
    for product in RESERVED {
        let Some(level) = kept.get(product) else { continue };
        let units = |state: &str| -> i64 {
            let those = known.reservations.iter().filter(|(id, _)| ends.get(*id).is_some_and(|end| end == state));
            those.flat_map(|(_, lines)| lines).filter(|(of, _)| *of == product).map(|(_, units)| units).sum()
        };
        let stocked = known.answers.iter().filter(|((of, _), _)| *of == product).map(|(_, (delta, _))| delta);
        let available = stocked.sum::<i64>() - units("held") - units("fulfilled");
        if (level.available, level.reserved) != (available, units("held")) {
            violations.push(format!(
                "{product}: {} available and {} reserved, {available} and {} by its reservations",
                level.available,
                level.reserved,
                units("held")
            ));
        }
    }
    for (id, end) in ends.iter().filter(|(_, end)| *end == "pending") {
        violations.push(format!("reservation {id} is still {end}"));
    }
}

/// The feed tells the journal, and callbacks tell the feed, under one id each.
fn told_alike(kept: &BTreeMap<&str, Kept>, feed: &Feed, calls: &Calls, violations: &mut Vec<String>) {
    let (mut followed, called) = (feed.followed(), calls.called());
    violations.append(&mut followed.violations);
    for (product, level) in kept {
        for (version, told) in &level.journal {
            let name = ((*product).to_owned(), *version);
            if followed.changes.get(&name) != Some(told) {
                violations.push(format!("{name:?} is {told:?}, in the feed {:?}", followed.changes.get(&name)));
            }
            let ids = called.ids.get(&name).map(std::collections::BTreeSet::len);
            if ids != Some(1) || called.told.get(&name) != Some(told) {
                violations
                    .push(format!("{name:?} is {told:?}, called back {:?} with {ids:?} ids", called.told.get(&name)));
            }
        }
    }
    let changes: usize = kept.values().map(|level| level.journal.len()).sum();
    if followed.changes.len() != changes || called.ids.len() != changes || called.unreadable > 0 {
        let (fed, called_back, unreadable) = (followed.changes.len(), called.ids.len(), called.unreadable);
        violations
            .push(format!("{changes} changes, {fed} in the feed, {called_back} called back, {unreadable} unreadable"));
    }
}

#[cfg(test)]
mod tests;
