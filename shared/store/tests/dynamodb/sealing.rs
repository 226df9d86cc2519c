//! Sealing with keys from a text, and with keys that KMS wraps and the table keeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use evenstock_app::{SealError, Sealed, Sealer};
use evenstock_store::{AwsSettings, DynamoStore, KeyId, Keyring, KeyringSealer, KmsSealer, NONCE_BYTES, kms_client};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::faults::lossy;
use crate::support::{Emulated, TABLE, client_to, fresh};

const MASTER_KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/1";

/// A new nonce on every call.
fn counted() -> Option<[u8; NONCE_BYTES]> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut nonce = [0; NONCE_BYTES];
    nonce[..4].copy_from_slice(&NEXT.fetch_add(1, Ordering::SeqCst).to_be_bytes());
    Some(nonce)
}

mod keyring {
    use super::*;

    struct Fresh {
        sealer: KeyringSealer,
    }

    async fn fresh() -> Fresh {
        let keyring = Keyring::parse(&format!("k:{}", "a5".repeat(32))).unwrap();
        Fresh { sealer: KeyringSealer::new(keyring, counted) }
    }

    evenstock_app::seal_contract!(fresh);

    #[tokio::test]
    async fn without_randomness_nothing_is_sealed() {
        let keyring = Keyring::parse(&format!("k:{}", "a5".repeat(32))).unwrap();
        let error = KeyringSealer::new(keyring, || None).seal("here", "hunter2").await.unwrap_err();
        assert!(error.is_passing() && !error.to_string().contains("hunter2"));
    }
}

mod kms {
    use super::*;

    struct Fresh {
        sealer: KmsSealer,
        _world: World,
    }

    async fn fresh() -> Fresh {
        let world = World::new().await;
        Fresh { sealer: world.sealer("1"), _world: world }
    }

    evenstock_app::seal_contract!(fresh);
}

/// Speaks KMS's protocol. A wrapped key is the key and its context in the open; no two keys are alike.
#[derive(Default)]
struct FakeKms {
    made: AtomicU8,
    unwrapped: AtomicUsize,
    /// Answers of this kind are given instead, so many times.
    failure: std::sync::Mutex<Option<(ResponseTemplate, usize)>>,
}

impl FakeKms {
    fn fail(&self, times: usize, answer: ResponseTemplate) {
        *self.failure.lock().unwrap() = Some((answer, times));
    }
}

fn refusal(status: u16, kind: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({ "__type": kind, "message": "no" }))
}

struct Fake(Arc<FakeKms>);

impl Respond for Fake {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut failure = self.0.failure.lock().unwrap();
        if let Some((answer, times)) = failure.as_mut().filter(|(_, times)| *times > 0) {
            *times -= 1;
            return answer.clone();
        }
        let asked: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(asked["KeyId"], MASTER_KEY);
        match request.headers["x-amz-target"].to_str().unwrap() {
            "TrentService.GenerateDataKey" => {
                assert_eq!(asked["KeySpec"], "AES_256");
                let plain = STANDARD.encode([self.0.made.fetch_add(1, Ordering::SeqCst); 32]);
                let wrapped = json!({ "plain": plain, "context": asked["EncryptionContext"] }).to_string();
                let answer =
                    json!({ "KeyId": MASTER_KEY, "Plaintext": plain, "CiphertextBlob": STANDARD.encode(wrapped) });
                ResponseTemplate::new(200).set_body_json(answer)
            }
            "TrentService.Decrypt" => {
                let wrapped = STANDARD.decode(asked["CiphertextBlob"].as_str().unwrap()).unwrap();
                let Some(wrapped) = serde_json::from_slice::<Value>(&wrapped).ok() else {
                    return refusal(400, "InvalidCiphertextException");
                };
                if wrapped["context"] != asked["EncryptionContext"] {
                    return refusal(400, "InvalidCiphertextException");
                }
                self.0.unwrapped.fetch_add(1, Ordering::SeqCst);
                ResponseTemplate::new(200).set_body_json(json!({ "KeyId": MASTER_KEY, "Plaintext": wrapped["plain"] }))
            }
            other => panic!("{other}"),
        }
    }
}

/// A table and a KMS.
struct World {
    emulated: Emulated,
    kms: Arc<FakeKms>,
    server: MockServer,
}

impl World {
    async fn new() -> Self {
        let kms = Arc::new(FakeKms::default());
        let server = MockServer::start().await;
        Mock::given(wiremock::matchers::method("POST")).respond_with(Fake(Arc::clone(&kms))).mount(&server).await;
        Self { emulated: fresh().await, kms, server }
    }

    /// As a new process would have it.
    fn sealer(&self, current: &str) -> KmsSealer {
        self.sealer_on(self.emulated.store.clone(), current)
    }

    fn sealer_on(&self, store: DynamoStore, current: &str) -> KmsSealer {
        let client = kms_client(&AwsSettings {
            region: "eu-central-1".to_owned(),
            endpoint_url: Some(self.server.uri()),
            access_key_id: "test".to_owned(),
            secret_access_key: "test".to_owned(),
            session_token: None,
        });
        KmsSealer::new(client, store, MASTER_KEY, KeyId::parse(current).unwrap(), counted)
    }

    fn calls(&self) -> (u8, usize) {
        (self.kms.made.load(Ordering::SeqCst), self.kms.unwrapped.load(Ordering::SeqCst))
    }

    async fn damage_key(&self, attribute: &str, value: AttributeValue) {
        let update = self.emulated.client.update_item().table_name(TABLE);
        let update = update.key("pk", AttributeValue::S("Z#1".to_owned())).key("sk", AttributeValue::S("Z".to_owned()));
        let update = update.update_expression("SET #d = :value").expression_attribute_names("#d", attribute);
        update.expression_attribute_values(":value", value).send().await.unwrap();
    }
}

#[tokio::test]
async fn key_is_made_once_and_unwrapped_once_a_process() {
    let world = World::new().await;
    let first = world.sealer("1");
    let sealed = first.seal("here", "hunter2").await.unwrap();
    first.seal("there", "hunter3").await.unwrap();
    first.open("here", &sealed).await.unwrap();
    assert_eq!(world.calls(), (1, 0));
    let second = world.sealer("1");
    for _ in 0..3 {
        assert_eq!(second.open("here", &sealed).await.unwrap().expose(), "hunter2");
    }
    second.seal("here", "x").await.unwrap();
    assert_eq!(world.calls(), (1, 1));
}

#[tokio::test]
async fn processes_that_make_the_first_key_at_once_share_it() {
    let world = World::new().await;
    let sealers: Vec<_> = (0..8).map(|_| world.sealer("1")).collect();
    let sealing = sealers.iter().map(|sealer| sealer.seal("here", "hunter2"));
    let sealed: Vec<Sealed> = futures::future::try_join_all(sealing).await.unwrap();
    assert!(world.calls().0 > 1, "several made a key");
    for sealer in [&world.sealer("1"), &sealers[0], &sealers[7]] {
        for sealed in &sealed {
            assert_eq!(sealer.open("here", sealed).await.unwrap().expose(), "hunter2");
        }
    }
}

#[tokio::test]
async fn rotated_key_seals_and_the_old_one_still_opens() {
    let world = World::new().await;
    let running = world.sealer("1");
    let old = running.seal("here", "hunter2").await.unwrap();
    let rotated = world.sealer("2");
    let new = rotated.seal("here", "hunter3").await.unwrap();
    assert!(old.as_str().starts_with("1.1.") && new.as_str().starts_with("1.2."));
    assert_eq!(rotated.open("here", &old).await.unwrap().expose(), "hunter2");
    assert_eq!(running.open("here", &new).await.unwrap().expose(), "hunter3", "a process from before the rotation");
}

#[tokio::test]
async fn silent_or_failing_kms_is_passing_and_nothing_is_half_done() {
    let world = World::new().await;
    let sealer = world.sealer("1");
    for answer in
        [refusal(500, "KMSInternalException"), refusal(400, "ThrottlingException"), ResponseTemplate::new(503)]
    {
        world.kms.fail(100, answer);
        let error = sealer.seal("here", "hunter2").await.unwrap_err();
        assert!(error.is_passing(), "{error:?}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
    world.kms.fail(0, ResponseTemplate::new(200));
    let sealed = sealer.seal("here", "hunter2").await.unwrap();
    world.kms.fail(100, refusal(500, "KMSInternalException"));
    assert!(world.sealer("1").open("here", &sealed).await.unwrap_err().is_passing());
    assert_eq!(sealer.open("here", &sealed).await.unwrap().expose(), "hunter2", "what is unwrapped needs no KMS");
}

#[tokio::test]
async fn lost_answer_is_asked_for_again() {
    let world = World::new().await;
    world.kms.fail(1, ResponseTemplate::new(200).set_delay(Duration::from_millis(1_300)));
    let sealed = world.sealer("1").seal("here", "hunter2").await.unwrap();
    world.kms.fail(1, ResponseTemplate::new(200).set_delay(Duration::from_millis(1_300)));
    assert_eq!(world.sealer("1").open("here", &sealed).await.unwrap().expose(), "hunter2");
}

#[tokio::test]
async fn new_key_whose_storing_was_not_confirmed_is_one_key() {
    for lost in 1..=4 {
        let world = World::new().await;
        let store = DynamoStore::new(client_to(lossy(world.emulated.address, lost).await), TABLE, 400);
        let sealed = world.sealer_on(store, "1").seal("here", "hunter2").await.unwrap();
        assert_eq!(world.sealer("1").open("here", &sealed).await.unwrap().expose(), "hunter2", "{lost} answers lost");
        assert_eq!(world.calls().0, 1, "{lost} answers lost");
    }
}

#[tokio::test]
async fn unreachable_kms_or_table_is_passing() {
    let mut world = World::new().await;
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let sealer = world.sealer_on(DynamoStore::new(client_to(nobody), TABLE, 400), "1");
    assert!(sealer.seal("here", "hunter2").await.unwrap_err().is_passing());
    world.server = MockServer::start().await;
    let gone = world.sealer("1");
    drop(world.server);
    assert!(gone.seal("here", "hunter2").await.is_err_and(|error| !matches!(error, SealError::UnknownKey { .. })));
}

#[tokio::test]
async fn kms_that_refuses_is_not_passing() {
    let world = World::new().await;
    for kind in ["AccessDeniedException", "NotFoundException", "DisabledException", "KMSInvalidStateException"] {
        world.kms.fail(1, refusal(400, kind));
        let error = world.sealer("1").seal("here", "hunter2").await.unwrap_err();
        assert!(matches!(error, SealError::Refused(_)), "{kind}: {error:?}");
    }
}

#[tokio::test]
async fn wrapped_key_that_was_changed_is_not_passing_and_never_replaced() {
    let world = World::new().await;
    let sealed = world.sealer("1").seal("here", "hunter2").await.unwrap();
    world.damage_key("ct", AttributeValue::B(b"other".to_vec().into())).await;
    let error = world.sealer("1").open("here", &sealed).await.unwrap_err();
    assert!(matches!(&error, SealError::Tampered { key_id } if key_id == "1"), "{error:?}");
    assert!(world.sealer("1").seal("here", "hunter2").await.is_err());
    world.damage_key("ct", AttributeValue::S("text".to_owned())).await;
    let error = world.sealer("1").open("here", &sealed).await.unwrap_err();
    assert!(matches!(error, SealError::Refused(_)) && world.calls().0 == 1, "{error:?}");
}
