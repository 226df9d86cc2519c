//! Everybody who acts on the stock of a world: sources that state facts, and clients that ask. Drawn from the seed before
//! the world begins; what a request says is fixed when it is first made.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use axum::http::Request;
use evenstock_app::testing::worlds::Random;
use evenstock_app::{ChangeBody, StockChange};
use evenstock_domain::{LevelKey, LocationId, Sku, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::endpoint::KnownOrders;
use crate::functions::organization;
use crate::nature::{Draw, START};

/// How a level comes to its quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// An authority states what can be sold.
    Available,
    /// An authority states what lies on the shelf.
    OnHand,
    /// Two marketplaces that sell state what is left.
    Merged,
}

/// A level of the world.
#[derive(Debug, Clone)]
pub(crate) struct Level {
    pub(crate) key: LevelKey,
    pub(crate) role: Role,
}

/// What a source states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stated {
    Count(i64),
    Merged(i64),
    Delta(i64),
}

/// Something that happened, or was counted, outside.
#[derive(Debug, Clone)]
pub(crate) struct Fact {
    pub(crate) level: usize,
    pub(crate) source: &'static str,
    pub(crate) time: i64,
    pub(crate) sequence: u64,
    pub(crate) stated: Stated,
}

/// What a client asks for.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    /// Marketplace A delivers this fact.
    Webhook { fact: usize },
    /// A shop updates a level, against the version that it saw or against any.
    Update { level: usize, delta: i64, versioned: bool },
    /// A back office adjusts a level.
    Adjust { level: usize, delta: i64, versioned: bool },
    /// Somebody reserves.
    Reserve { lines: Vec<(usize, i64)>, ttl_seconds: i64 },
    /// Somebody ends, or extends, what that client reserved.
    End { reserve: usize, wanted: &'static str },
    /// A location's books.
    Sync { location: &'static str, replace: bool, quantities: Vec<(usize, i64)> },
    /// An order is imported.
    Import { receipt: String },
    /// An order is called off.
    Cancel { receipt: String },
}

/// A client with one wish.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) ask: Ask,
    /// Its idempotency key, if it has one.
    pub(crate) key: Option<String>,
    /// The request as it was first made: path and body.
    pub(crate) request: Option<(String, Value)>,
    /// Answers that say what became of the wish.
    pub(crate) answers: Vec<(u16, Value)>,
    /// Tries that nobody knows the outcome of.
    pub(crate) lost: u32,
    /// Tries that are under way.
    pub(crate) running: u32,
    /// Tries that it still makes of its own accord.
    pub(crate) tries_left: u32,
    /// Whether it was answered after the storm, when nothing of an earlier try was under way.
    pub(crate) is_settled: bool,
}

impl Client {
    pub(crate) fn new(ask: Ask, key: Option<String>) -> Self {
        let (request, answers) = (None, Vec::new());
        Self { ask, key, request, answers, lost: 0, running: 0, tries_left: 4, is_settled: false }
    }

    /// Whether the same request may be sent again without being another one.
    pub(crate) fn may_repeat(&self) -> bool {
        self.key.is_some() || !matches!(self.ask, Ask::Adjust { .. } | Ask::Reserve { .. })
    }

    /// The first answer of success.
    pub(crate) fn granted(&self) -> Option<&Value> {
        self.answers.iter().find(|(status, _)| *status < 300).map(|(_, body)| body)
    }

    /// Whether it must ask once more to learn what became of its wish.
    pub(crate) fn is_in_doubt(&self) -> bool {
        let unknown = self.granted().is_none() && (self.lost > 0 || self.answers.is_empty());
        self.may_repeat() && self.running == 0 && unknown && !self.is_settled
    }

    /// Which function is asked.
    pub(crate) fn function(&self) -> &'static str {
        match self.ask {
            Ask::Webhook { .. } => "webhook",
            Ask::Import { .. } | Ask::Cancel { .. } => "orders-api",
            _ => "inventory-api",
        }
    }

    pub(crate) fn http(&self, (path, body): &(String, Value)) -> Request<Body> {
        let text = body.to_string();
        let mut request = Request::post(path).header("x-api-key", "key").header("content-type", "application/json");
        if let Some(key) = self.key.as_ref().filter(|_| !matches!(self.ask, Ask::Update { .. })) {
            request = request.header("idempotency-key", key);
        }
        if matches!(self.ask, Ask::Webhook { .. }) {
            let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(b"secret").unwrap();
            mac.update(text.as_bytes());
            request = request.header("x-marketplace-signature", hex::encode(mac.finalize().into_bytes()));
        }
        request.body(Body::from(text)).unwrap()
    }
}

/// A fact on its way, as a message.
pub(crate) fn message(levels: &[Level], fact: &Fact, n: usize) -> StockChange {
    let key = &levels[fact.level].key;
    let sequence = fact.sequence;
    let change = match (fact.stated, levels[fact.level].role) {
        (Stated::Count(quantity), Role::OnHand) => ChangeBody::CountOnHand { quantity, sequence },
        (Stated::Count(quantity), _) => ChangeBody::CountAvailable { quantity, sequence },
        (Stated::Merged(quantity), _) => ChangeBody::Merged { quantity, sequence },
        (Stated::Delta(delta), _) => ChangeBody::Delta { delta },
    };
    StockChange {
        event_id: format!("fact-{n}"),
        organization: organization().to_string(),
        sku: key.sku.to_string(),
        location: key.location.to_string(),
        source: fact.source.to_owned(),
        time: Timestamp::EPOCH.plus_millis(fact.time).to_string(),
        job_id: "simulation".to_owned(),
        change,
    }
}

/// A fact as marketplace A tells it.
pub(crate) fn delivery(levels: &[Level], fact: &Fact) -> Value {
    let key = &levels[fact.level].key;
    let Stated::Count(quantity) = fact.stated else { unreachable!("it only counts") };
    let time = Timestamp::EPOCH.plus_millis(fact.time).to_string();
    json!({ "product_code": key.sku.as_str(), "available_stock": quantity, "timestamp": time,
            "warehouse": key.location.as_str() })
}

/// Something that comes to pass at its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// A client makes a try.
    Try(usize),
    /// A fact's message reaches the queue.
    Message(usize),
}

/// What the seed drew.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) levels: Vec<Level>,
    pub(crate) facts: Vec<Fact>,
    /// So many of the facts set the levels before anything else happens.
    pub(crate) first_facts: usize,
    pub(crate) clients: Vec<Client>,
    pub(crate) orders: KnownOrders,
    pub(crate) due: BTreeSet<(i64, u64, Due)>,
    /// How many things are due, so that two at one time are two.
    pub(crate) numbered: u64,
    /// Times of deltas and counts that are taken: each has its own.
    taken: BTreeMap<(usize, bool), BTreeSet<i64>>,
    span_ms: i64,
}

pub(crate) const LOW_STOCK: i64 = 3;

impl Plan {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let mut plan = Self { span_ms: random.pick(&[60_000, 120_000, 3_600_000]), ..Self::default() };
        plan.levels = [("a", "main", Role::Available), ("b", "main", Role::Available), ("a", "depot", Role::OnHand)]
            .into_iter()
            .chain(random.chance(60).then_some(("b", "web", Role::Merged)))
            .map(|(sku, location, role)| Level { key: key(sku, location), role })
            .collect();
        plan.first_counts(random);
        plan.draw_facts(random);
        plan.draw_requests(random);
        plan.draw_orders(random);
        plan
    }

    pub(crate) fn at(&mut self, time: i64, due: Due) {
        self.numbered += 1;
        self.due.insert((time, self.numbered, due));
    }

    fn first_counts(&mut self, random: &mut Random) {
        for level in 0..self.levels.len() {
            let quantity = random.between(2, 25);
            let mut state = |source, stated| {
                let sequence = 0;
                self.facts.push(Fact { level, source, time: START - 600_000, sequence, stated });
            };
            match self.levels[level].role {
                Role::Available => state("marketplace-b/b", Stated::Count(quantity)),
                Role::OnHand => state("warehouse/depot", Stated::Count(quantity)),
                Role::Merged => {
                    state("etsy/m1", Stated::Merged(quantity));
                    state("shopify/m2", Stated::Merged(quantity));
                }
            }
        }
        self.first_facts = self.facts.len();
    }

    /// When something happens.
    fn moment(&self, random: &mut Random) -> i64 {
        START + random.between(0, self.span_ms)
    }

    /// When news of it arrives.
    fn arrival(&self, random: &mut Random, happened: i64) -> i64 {
        let latest = if random.chance(25) { 900_000 } else { 15_000 };
        happened + random.between(0, latest)
    }

    fn own_time(&mut self, level: usize, delta: bool, mut time: i64) -> i64 {
        let taken = self.taken.entry((level, delta)).or_default();
        while !taken.insert(time) {
            time += 1;
        }
        time
    }

    fn draw_facts(&mut self, random: &mut Random) {
        let busy = random.chance(40);
        for _ in 0..random.below(if busy { 40 } else { 16 }) {
            let level = random.place(self.levels.len());
            let happened = self.moment(random);
            // Sources' clocks differ; some lead so far that their deltas have to wait.
            let skew = if random.chance(50) { 0 } else { random.between(-100_000, 100_000) };
            let skew = if random.chance(3) { 170_000 } else { skew };
            let role = self.levels[level].role;
            if random.chance(60) {
                let time = self.own_time(level, true, happened + skew);
                let stated = Stated::Delta(random.pick(&[-4, -3, -2, -1, -1, 1, 2, 3]));
                self.by_message(random, happened, Fact { level, source: "pos/till", time, sequence: 0, stated });
                continue;
            }
            let quantity = random.between(0, 25);
            let mut time = self.own_time(level, false, happened + skew.min(100_000));
            let mut sequence = 0;
            let before =
                self.facts.iter().rfind(|fact| fact.level == level && !matches!(fact.stated, Stated::Delta(_)));
            if let Some(before) = before.filter(|before| before.time > START && random.chance(15)) {
                (time, sequence) = (before.time, before.sequence + 1);
            }
            let source = match role {
                Role::Available if sequence == 0 && random.chance(60) => "marketplace-a/default",
                Role::Available => "marketplace-b/b",
                Role::OnHand => "warehouse/depot",
                Role::Merged => random.pick(&["etsy/m1", "shopify/m2"]),
            };
            let stated = if role == Role::Merged { Stated::Merged(quantity) } else { Stated::Count(quantity) };
            let fact = Fact { level, source, time, sequence, stated };
            if source == "marketplace-a/default" {
                self.by_webhook(random, happened, fact);
            } else {
                self.by_message(random, happened, fact);
            }
        }
    }

    fn by_message(&mut self, random: &mut Random, happened: i64, fact: Fact) {
        self.facts.push(fact);
        let n = self.facts.len() - 1;
        for _ in 0..=random.pick(&[0, 0, 0, 1, 2]) {
            let arrives = self.arrival(random, happened);
            self.at(arrives, Due::Message(n));
        }
    }

    fn by_webhook(&mut self, random: &mut Random, happened: i64, fact: Fact) {
        self.facts.push(fact);
        let client = Client::new(Ask::Webhook { fact: self.facts.len() - 1 }, None);
        let repeats = random.pick(&[0, 0, 0, 1, 2]);
        // Later than its own time less two minutes, or it is refused.
        self.client(random, client, happened + 1_000, repeats);
    }

    fn client(&mut self, random: &mut Random, client: Client, from: i64, repeats: u64) -> usize {
        self.clients.push(client);
        let n = self.clients.len() - 1;
        let mut time = from;
        for _ in 0..=repeats {
            self.at(time, Due::Try(n));
            time += if random.chance(50) { random.between(0, 400) } else { random.between(0, 600_000) };
        }
        n
    }

    fn key(&self, random: &mut Random, percent: u64) -> Option<String> {
        random.chance(percent).then(|| format!("key-{}", self.clients.len()))
    }

    fn draw_requests(&mut self, random: &mut Random) {
        let busy = random.chance(50);
        for _ in 0..random.below(if busy { 36 } else { 14 }) {
            let (level, from) = (random.place(self.levels.len()), self.moment(random));
            let delta = random.pick(&[-6, -3, -2, -1, -1, 2, 3]);
            let versioned = random.chance(30);
            let repeats = random.pick(&[0, 0, 1, 1, 2]);
            match random.below(10) {
                0..=3 => {
                    let key = Some(format!("key-{}", self.clients.len()));
                    self.client(random, Client::new(Ask::Update { level, delta, versioned }, key), from, repeats);
                }
                4 | 5 => {
                    let key = self.key(random, 60);
                    let repeats = if key.is_some() { repeats } else { 0 };
                    self.client(random, Client::new(Ask::Adjust { level, delta, versioned }, key), from, repeats);
                }
                6..=8 => self.draw_reservation(random, from),
                _ => self.draw_sync(random, from),
            }
        }
    }

    fn draw_reservation(&mut self, random: &mut Random, from: i64) {
        let first = random.place(self.levels.len());
        let lines = (0..=random.place(3)).map(|n| ((first + n) % self.levels.len(), random.between(1, 3))).collect();
        let ttl_seconds = random.pick(&[20, 90, 100_000]);
        let key = self.key(random, 60);
        let repeats = if key.is_some() { random.pick(&[0, 1, 2]) } else { 0 };
        let reserve = self.client(random, Client::new(Ask::Reserve { lines, ttl_seconds }, key), from, repeats);
        let end = from + random.between(500, 120_000);
        for wanted in [random.pick(&["release", "fulfil", "extend"]), random.pick(&["release", "fulfil"])] {
            if random.chance(50) {
                let key = self.key(random, 50);
                let repeats = random.pick(&[0, 0, 1]);
                self.client(random, Client::new(Ask::End { reserve, wanted }, key), end, repeats);
            }
        }
    }

    fn draw_sync(&mut self, random: &mut Random, from: i64) {
        let location = random.pick(&["main", "main", "depot"]);
        let here = (0..self.levels.len()).filter(|n| self.levels[*n].key.location.as_str() == location);
        let here: Vec<_> = here.filter(|_| random.chance(70)).collect();
        let quantities = here.into_iter().map(|level| (level, random.between(0, 20))).collect();
        let ask = Ask::Sync { location, replace: random.chance(30), quantities };
        let key = Some(format!("key-{}", self.clients.len()));
        let repeats = random.pick(&[0, 0, 1]);
        self.client(random, Client::new(ask, key), from, repeats);
    }

    fn draw_orders(&mut self, random: &mut Random) {
        for n in 0..random.below(7) {
            let receipt = format!("order-{n}");
            let lines = (0..=random.place(2)).map(|_| {
                let level = random.place(self.levels.len());
                (self.levels[level].key.clone(), random.between(1, 4))
            });
            self.orders.insert(receipt.clone(), lines.collect());
            let (from, repeats) = (self.moment(random), random.pick(&[0, 1, 2]));
            self.client(random, Client::new(Ask::Import { receipt: receipt.clone() }, None), from, repeats);
            if random.chance(35) {
                let (from, repeats) = (from + random.between(-5_000, 60_000), random.pick(&[0, 1]));
                self.client(random, Client::new(Ask::Cancel { receipt }, None), from, repeats);
            }
        }
    }
}

pub(crate) fn key(sku: &str, location: &str) -> LevelKey {
    LevelKey {
        organization: organization(),
        sku: Sku::parse(sku).unwrap(),
        location: LocationId::parse(location).unwrap(),
    }
}
