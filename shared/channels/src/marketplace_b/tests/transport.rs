//! What happens when no whole answer arrives.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use rstest::rstest;

use super::*;

/// The bound on an answer.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Serves one connection by hand, for what a well-behaved server does not do.
fn serving(scheme: &str, serve: impl FnOnce(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || serve(listener.accept().unwrap().0));
    format!("{scheme}://{address}")
}

/// Begins to answer, promising `length` bytes of body.
fn begin(connection: &mut TcpStream, length: usize) {
    let mut question = [0; 4096];
    assert!(connection.read(&mut question).unwrap() > 0);
    write!(connection, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{{\"items\":[").unwrap();
}

async fn ask_briefly(base_url: &str) -> Result<FeedPage, FeedError> {
    let key = ApiSecret::new("b-key").unwrap();
    let client = MarketplaceB::new(base_url, key, Duration::from_millis(200)).unwrap();
    client.changed_since(Timestamp::EPOCH, 100).await
}

fn unavailable_because(answer: Result<FeedPage, FeedError>) -> String {
    match answer {
        Err(FeedError::Unavailable { reason, retry_after_seconds: None }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn refused_connection_is_unavailable() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(unavailable_because(ask(&format!("http://{address}")).await), "no connection");
}

#[tokio::test]
async fn late_answer_is_unavailable() {
    let server = answering(ResponseTemplate::new(200).set_delay(Duration::from_secs(30))).await;
    assert_eq!(unavailable_because(ask_briefly(&server.uri()).await), "it did not answer in time");
}

#[tokio::test]
async fn answer_that_stops_half_way_is_unavailable() {
    let base_url = serving("http", |mut connection| {
        begin(&mut connection, 1000);
        // Waits until the other side has given up.
        let _given_up = connection.read(&mut [0; 1]);
    });
    assert_eq!(unavailable_because(ask_briefly(&base_url).await), "it did not answer in time");
}

#[tokio::test]
async fn answer_that_trickles_is_cut_off_by_the_total_time() {
    let base_url = serving("http", |mut connection| {
        begin(&mut connection, 1000);
        for _ in 0..100 {
            thread::sleep(Duration::from_millis(20));
            if connection.write_all(b" ").is_err() {
                break;
            }
        }
    });
    assert_eq!(unavailable_because(ask_briefly(&base_url).await), "it did not answer in time");
}

#[tokio::test]
async fn answer_that_breaks_off_is_unavailable() {
    let base_url = serving("http", |mut connection| begin(&mut connection, 1000));
    assert_eq!(unavailable_because(ask(&base_url).await), "the connection broke");
}

#[tokio::test]
async fn answer_that_is_not_http_is_unavailable() {
    let base_url = serving("http", |mut connection| {
        assert!(connection.read(&mut [0; 4096]).unwrap() > 0);
        connection.write_all(b"220 mail.example ESMTP\r\n").unwrap();
    });
    assert_eq!(unavailable_because(ask(&base_url).await), "the connection broke");
}

#[tokio::test]
async fn secure_base_url_speaks_tls_before_anything_else() {
    let (first_byte, received) = std::sync::mpsc::channel();
    let base_url = serving("https", move |mut connection| {
        let mut byte = [0];
        connection.read_exact(&mut byte).unwrap();
        first_byte.send(byte[0]).unwrap();
    });
    assert_eq!(unavailable_because(ask(&base_url).await), "no connection");
    assert_eq!(received.recv().unwrap(), 0x16, "a handshake record");
}

#[rstest]
#[case::at_the_bound(BODY_BYTES_MAX, true)]
#[case::beyond_it(BODY_BYTES_MAX + 1, false)]
#[tokio::test]
async fn answer_is_read_up_to_its_bound(#[case] length: usize, #[case] is_read: bool) {
    let mut body = br#"{"items":[]}"#.to_vec();
    body.resize(length, b' ');
    match ask_one_answering(ResponseTemplate::new(200).set_body_bytes(body)).await {
        Ok(page) => assert!(is_read && page.rows.is_empty()),
        Err(FeedError::Malformed { reason }) => {
            assert!(!is_read);
            assert_eq!(reason, "it is longer than 16777216 bytes");
        }
        Err(other) => panic!("{other:?}"),
    }
}
