//! What is sent, and what becomes of receivers that do not behave.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::io;
use std::sync::Mutex;

use evenstock_app::{Call, CallbackSender, InvalidTarget, SecretText};
use evenstock_domain::{Guard, Timestamp, Tried};
use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::callbacks::{HttpCallbacks, Lookup, ReceivedHeaders, SigningKey, SystemLookup};

const OPEN: Guard = Guard { allow_private: true };
const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const OLDER: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn sender() -> HttpCallbacks {
    HttpCallbacks::new(OPEN, SystemLookup, Duration::from_secs(5)).unwrap()
}

fn sent_at() -> Timestamp {
    Timestamp::from_millis(1_700_000_000_900).unwrap()
}

async fn call(sender: &HttpCallbacks, target: &str) -> Tried {
    let secrets = [SecretText::new(SECRET), SecretText::new(OLDER)];
    let body = r#"{"eventId":"e-1","text":"\u00e4 🦀"}"#;
    sender.send(Call { target, event_id: "e-1", sent_at: sent_at(), body, secrets: &secrets }).await
}

async fn receiver(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

/// Serves one connection by hand, for what a well-behaved server does not do.
async fn serving<F: Future<Output = ()> + Send>(serve: impl FnOnce(TcpStream) -> F + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { serve(listener.accept().await.unwrap().0).await });
    format!("http://{address}/hook")
}

#[tokio::test]
async fn exact_bytes_are_sent_under_headers_that_verify_with_either_secret() {
    let server = receiver(ResponseTemplate::new(200).set_body_string("thanks")).await;
    let tried = call(&sender(), &server.uri()).await;
    assert_eq!((tried.attempt.status_code, tried.attempt.error), (Some(200), None));
    assert_eq!(tried.attempt.response.as_deref(), Some("thanks"));
    assert_eq!(tried.attempt.at, sent_at());
    let request = server.received_requests().await.unwrap().remove(0);
    let header = |name: &str| request.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(request.method.as_str(), "POST");
    assert_eq!(request.body, r#"{"eventId":"e-1","text":"\u00e4 🦀"}"#.as_bytes());
    assert_eq!((header("webhook-id"), header("x-event-id")), (Some("e-1"), Some("e-1")));
    assert_eq!(header("webhook-timestamp"), Some("1700000000"));
    assert_eq!(header("content-type"), Some("application/json"));
    assert!(header("user-agent").unwrap().starts_with("Evenstock/"));
    let headers = ReceivedHeaders {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
    };
    assert_eq!(headers.signature.unwrap().split(' ').count(), 2);
    for secret in [SECRET, OLDER] {
        SigningKey::parse(secret).unwrap().verify(headers, &request.body, sent_at()).unwrap();
    }
}

#[tokio::test]
async fn wait_that_a_receiver_asks_for_is_passed_on() {
    let server = receiver(ResponseTemplate::new(429).insert_header("retry-after", "7")).await;
    let tried = call(&sender(), &server.uri()).await;
    assert_eq!((tried.attempt.status_code, tried.wait_ms()), (Some(429), Some(7000)));
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let to_metadata = ResponseTemplate::new(307).insert_header("location", "http://169.254.169.254/latest");
    let server = receiver(to_metadata).await;
    let tried = call(&sender(), &server.uri()).await;
    assert_eq!((tried.attempt.status_code, tried.attempt.succeeded()), (Some(307), false));
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn long_answer_is_left_unread() {
    let (told, written) = tokio::sync::oneshot::channel();
    let target = serving(async |mut connection| {
        let mut question = [0; 4096];
        assert!(connection.read(&mut question).await.unwrap() > 0);
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n").await.unwrap();
        let (chunk, mut total) = ([b'x'; 65_536], 0_usize);
        while total < 104_857_600 && connection.write_all(&chunk).await.is_ok() {
            total += chunk.len();
        }
        told.send(total).unwrap();
    })
    .await;
    let tried = call(&sender(), &target).await;
    assert!(tried.attempt.succeeded());
    assert_eq!(tried.attempt.response.unwrap().len(), 1024);
    let written = tokio::time::timeout(Duration::from_secs(10), written).await.unwrap().unwrap();
    assert!(written < 52_428_800, "the connection was given up after {written} bytes");
}

#[tokio::test]
async fn answer_that_is_no_text_is_remembered_within_a_kilobyte() {
    let server = receiver(ResponseTemplate::new(500).set_body_bytes(vec![0xff; 1024])).await;
    let response = call(&sender(), &server.uri()).await.attempt.response.unwrap();
    assert_eq!((response.len(), response.chars().all(|character| character == '\u{fffd}')), (1023, true));
}

#[tokio::test]
async fn answer_after_the_time_limit_is_a_failure() {
    let server = receiver(ResponseTemplate::new(200).set_delay(Duration::from_secs(20))).await;
    let sender = HttpCallbacks::new(OPEN, SystemLookup, Duration::from_millis(200)).unwrap();
    let tried = call(&sender, &server.uri()).await;
    assert_eq!(tried.attempt.error.as_deref(), Some("it did not answer in time"));
    assert!(!tried.attempt.succeeded() && tried.attempt.duration_ms >= 200);
}

#[tokio::test]
async fn status_decides_even_if_the_body_never_comes() {
    let target = serving(async |mut connection| {
        let mut question = [0; 4096];
        assert!(connection.read(&mut question).await.unwrap() > 0);
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nab").await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
    })
    .await;
    let tried = call(&sender(), &target).await;
    assert_eq!((tried.attempt.succeeded(), tried.attempt.response.as_deref()), (true, Some("ab")));
}

#[tokio::test]
async fn closed_connection_is_a_failure() {
    let target = serving(async |mut connection| {
        let mut question = [0; 4096];
        assert!(connection.read(&mut question).await.unwrap() > 0);
    })
    .await;
    assert_eq!(call(&sender(), &target).await.attempt.error.as_deref(), Some("the connection broke"));
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let tried = call(&sender(), &format!("http://{nobody}/")).await;
    assert_eq!((tried.attempt.status_code, tried.attempt.error.as_deref()), (None, Some("no connection")));
}

/// A name that leads somewhere else each time it is asked for.
struct Scripted(Mutex<Vec<Vec<IpAddr>>>);

impl Scripted {
    fn answering(answers: &[&[&str]]) -> Self {
        let parse = |addresses: &&[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect();
        Self(Mutex::new(answers.iter().rev().map(parse).collect()))
    }
}

impl Lookup for Scripted {
    fn lookup(&self, _host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let answer = self.0.lock().unwrap().pop();
        Box::pin(async move { answer.ok_or_else(|| io::Error::other("no such host")) })
    }
}

fn guarded(answers: &[&[&str]]) -> HttpCallbacks {
    HttpCallbacks::new(Guard::default(), Scripted::answering(answers), Duration::from_secs(1)).unwrap()
}

#[tokio::test]
async fn name_that_turns_to_a_private_address_is_refused_at_delivery() {
    let server = receiver(ResponseTemplate::new(200)).await;
    let target = format!("http://rebinding.example:{}/", server.address().port());
    let sender = guarded(&[&["93.184.216.34"], &["127.0.0.1"]]);
    assert_eq!(sender.check(&target).await, Ok(()), "it was public when it was registered");
    let tried = call(&sender, &target).await;
    assert_eq!(tried.attempt.error.as_deref(), Some("the address is not one of the public internet"));
    assert_eq!(server.received_requests().await.unwrap().len(), 0);
}

#[tokio::test]
async fn one_forbidden_address_among_many_is_enough() {
    for addresses in [&["93.184.216.34", "10.0.0.1"][..], &["2606:4700::1", "::1"], &["169.254.169.254"]] {
        let sender = guarded(&[addresses, addresses]);
        assert_eq!(sender.check("https://example.com/").await, Err(InvalidTarget::Forbidden));
        let tried = call(&sender, "https://example.com/").await;
        assert_eq!(tried.attempt.error.as_deref(), Some("the address is not one of the public internet"));
    }
}

#[tokio::test]
async fn name_without_an_address_cannot_be_registered_and_may_come_back_later() {
    let sender = guarded(&[&[]]);
    assert_eq!(sender.check("https://example.com/").await, Err(InvalidTarget::Unresolved));
    assert_eq!(sender.check("https://example.com/").await, Err(InvalidTarget::Unresolved));
    assert_eq!(call(&sender, "https://example.com/").await.attempt.error.as_deref(), Some("no connection"));
}

#[tokio::test]
async fn connection_goes_to_the_address_that_was_checked() {
    let server = receiver(ResponseTemplate::new(204)).await;
    let target = format!("http://only-in-this-test.example:{}/", server.address().port());
    let lookup = Scripted::answering(&[&["127.0.0.1"]]);
    let sender = HttpCallbacks::new(OPEN, lookup, Duration::from_secs(5)).unwrap();
    assert_eq!(call(&sender, &target).await.attempt.status_code, Some(204));
    assert_eq!(server.address().ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
}

#[tokio::test]
async fn address_in_the_url_is_checked_at_delivery_too() {
    let server = receiver(ResponseTemplate::new(200)).await;
    let tried = call(&guarded(&[]), &server.uri()).await;
    assert!(tried.attempt.error.unwrap().contains("public internet"));
    assert_eq!(server.received_requests().await.unwrap().len(), 0);
}
