//! What every store must do with keys and the audit log, run on each by
//! [`admin_contract!`](crate::admin_contract).
#![expect(missing_docs, clippy::unwrap_used, clippy::missing_panics_doc, reason = "these functions are test bodies")]

use evenstock_domain::OrganizationId;

use super::contract::at;
use crate::{
    AdminAction, AdminRequest, AuditEntry, AuditLog, AuditPosition, KeyAdminStore, KeyRecord, KeyStore, NewKey,
    Revocation, Scope, create_key, revoke_key,
};

const HOUR_MS: i64 = 60 * 60 * 1000;

fn organization(name: &str) -> OrganizationId {
    OrganizationId::parse(name).unwrap()
}

fn record(owner: &str, text: &str) -> KeyRecord {
    let new = NewKey {
        organization: organization(owner),
        name: format!("name of {text}"),
        scopes: vec![Scope::Read, Scope::Admin],
        operator: false,
        expires_at: Some(at(9_000)),
    };
    new.into_record(text, at(1_000))
}

pub async fn key_opens_until_it_is_revoked_and_never_again<S: KeyAdminStore + KeyStore>(store: &S) {
    let made = record("org", "es_one");
    assert_eq!(store.find_key(&made.hash).await.unwrap(), None);
    store.insert_key(&made).await.unwrap();
    store.insert_key(&KeyRecord { name: "another".to_owned(), ..made.clone() }).await.unwrap();
    assert_eq!(store.find_key(&made.hash).await.unwrap(), Some(made.key.clone()));
    assert_eq!(store.key_by_id(&made.key.id).await.unwrap(), Some(made.clone()), "the first one stands");

    store.revoke_key(&made.hash, at(2_000)).await.unwrap();
    store.revoke_key(&made.hash, at(3_000)).await.unwrap();
    assert_eq!(store.find_key(&made.hash).await.unwrap(), None);
    store.insert_key(&made).await.unwrap();
    assert_eq!(store.find_key(&made.hash).await.unwrap(), None, "a late repetition brings nothing back");
    let revoked = KeyRecord { revoked_at: Some(at(2_000)), ..made.clone() };
    assert_eq!(store.key_by_id(&made.key.id).await.unwrap(), Some(revoked));
    assert_eq!(store.keys_of(&made.key.organization, None, 10).await.unwrap().keys, []);

    let absent = record("org", "es_absent");
    store.revoke_key(&absent.hash, at(2_000)).await.unwrap();
    store.note_use(&absent.hash, at(2_000)).await.unwrap();
    assert_eq!(store.key_by_id(&absent.key.id).await.unwrap(), None, "nothing comes into being by the way");
}

pub async fn keys_are_listed_page_by_page_each_organization_its_own<S: KeyAdminStore + KeyStore>(store: &S) {
    // A name that could be taken for a part of somebody else's key.
    let owners = ["org", "org#K", "K#org"];
    for owner in owners {
        for n in 0..5 {
            store.insert_key(&record(owner, &format!("es_{owner}_{n}"))).await.unwrap();
        }
    }
    for owner in owners {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = store.keys_of(&organization(owner), after.as_deref(), 2).await.unwrap();
            assert!(page.keys.len() <= 2);
            listed.extend(page.keys);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let mut expected: Vec<_> = (0..5).map(|n| record(owner, &format!("es_{owner}_{n}"))).collect();
        expected.sort_by(|one, other| one.key.id.cmp(&other.key.id));
        assert_eq!(listed, expected);
    }
}

pub async fn use_of_a_key_is_noted_once_an_hour<S: KeyAdminStore + KeyStore>(store: &S) {
    let made = record("org", "es_used");
    store.insert_key(&made).await.unwrap();
    let used = async || store.key_by_id(&made.key.id).await.unwrap().unwrap().last_used_at;
    for (now, noted) in [(5_000, 5_000), (5_000 + HOUR_MS - 1, 5_000), (5_000 + HOUR_MS, 5_000 + HOUR_MS)] {
        store.note_use(&made.hash, at(now)).await.unwrap();
        assert_eq!(used().await, Some(at(noted)));
    }
}

pub async fn audit_log_keeps_every_entry_once_newest_first<S: AuditLog>(store: &S) {
    let entry = |owner: &str, millis: i64, id: &str| AuditEntry {
        organization: organization(owner),
        id: id.to_owned(),
        at: at(millis),
        action: AdminAction::KeyCreated,
        actor: "admin".to_owned(),
        target: format!("target of {id}"),
        about: "för people".to_owned(),
    };
    let written = [entry("org", 1, "a"), entry("org", 1, "b"), entry("org", 20_000, "c"), entry("org", 300_000, "d")];
    for entry in &written {
        store.append_audit(entry).await.unwrap();
        store.append_audit(&AuditEntry { about: "changed".to_owned(), ..entry.clone() }).await.unwrap();
    }
    store.append_audit(&entry("other", 5, "x")).await.unwrap();
    let first = store.audit(&organization("org"), None, 3).await.unwrap();
    let newest_first: Vec<_> = written.iter().rev().cloned().collect();
    assert_eq!(first.entries, newest_first.iter().take(3).cloned().collect::<Vec<_>>());
    assert_eq!(first.next, Some(AuditPosition { at: at(1), id: "b".to_owned() }));
    let rest = store.audit(&organization("org"), first.next.as_ref(), 3).await.unwrap();
    assert_eq!((rest.entries.as_slice(), rest.next), (newest_first.split_at(3).1, None));
}

pub async fn making_and_withdrawing_is_audited_once<S: KeyAdminStore + KeyStore + AuditLog>(store: &S) {
    let by = record("org", "es_admin").key;
    let request = |id: &str, millis| AdminRequest { by: &by, id: id.to_owned(), at: at(millis) };
    let made = record("org", "es_made");
    for _ in 0..2 {
        create_key(store, &request("op-1", 10), &made).await.unwrap();
    }
    let revoke = async |owner: &str, id: &str, op: &str| {
        revoke_key(store, &request(op, 20), &organization(owner), id).await.unwrap()
    };
    assert_eq!(revoke("other", &made.key.id, "op-2").await, Revocation::Unknown);
    assert_eq!(revoke("org", "ffffffffffffffff", "op-2").await, Revocation::Unknown);
    assert_eq!(revoke("org", "no id at all", "op-2").await, Revocation::Unknown);
    for op in ["op-2", "op-3"] {
        assert_eq!(revoke("org", &made.key.id, op).await, Revocation::Revoked);
    }
    assert_eq!(store.find_key(&made.hash).await.unwrap(), None);

    let mut operators = record("org", "es_operator");
    operators.key.operator = true;
    create_key(store, &request("op-4", 30), &operators).await.unwrap();
    assert_eq!(revoke("org", &operators.key.id, "op-5").await, Revocation::OperatorsOnly);

    let log = store.audit(&organization("org"), None, 10).await.unwrap().entries;
    let told: Vec<_> = log.iter().map(|entry| (entry.id.as_str(), entry.action.as_str())).collect();
    assert_eq!(told, [("op-4", "key.created"), ("op-2", "key.revoked"), ("op-1", "key.created")]);
    assert!(log.iter().all(|entry| entry.actor == by.id));
}

/// Makes a test of each function: `admin_contract!(make)` where `make` is an async function that gives a guard whose
/// `store` field is a store.
#[macro_export]
macro_rules! admin_contract {
    ($make:path) => {
        $crate::admin_contract!(@each $make,
            key_opens_until_it_is_revoked_and_never_again, keys_are_listed_page_by_page_each_organization_its_own,
            use_of_a_key_is_noted_once_an_hour, audit_log_keeps_every_entry_once_newest_first,
            making_and_withdrawing_is_audited_once
        );
    };
    (@each $make:path, $($name:ident),+) => {
        $(
            #[tokio::test]
            async fn $name() {
                let guard = $make().await;
                $crate::testing::admin_contract::$name(&guard.store).await;
            }
        )+
    };
}
