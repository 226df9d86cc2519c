//! The cheapest client that speaks HTTP/1.1 on one connection that is kept: what it saves of the machine, the server has.
//!
//! Knows answers with a `content-length` only, which are all that the runner gives.

use std::io;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Failure;

/// One connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    host: String,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Wire {
    /// Connects to `http://HOST:PORT`.
    pub(crate) async fn connect(base: &str) -> Result<Self, Failure> {
        let host = base.strip_prefix("http://").ok_or("only http:// is spoken here")?.to_owned();
        let stream = TcpStream::connect(&host).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, host, request: Vec::new(), answer: Vec::new() })
    }

    /// Sends a request with the local runner's key and these headers, and reads the whole answer; its status.
    pub(crate) async fn ask(
        &mut self,
        method: &str,
        path: &str,
        header: Option<(&str, &str)>,
        body: &str,
    ) -> Result<u16, Failure> {
        let Self { stream, host, request, answer } = self;
        let (name, value) = header.unwrap_or(("accept", "*/*"));
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nx-api-key: demo\r\n{name}: {value}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        request.clear();
        request.extend_from_slice(head.as_bytes());
        request.extend_from_slice(body.as_bytes());
        stream.write_all(request).await?;
        answer.clear();
        loop {
            if stream.read_buf(answer).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            if let Some(status) = whole(answer)? {
                return Ok(status);
            }
        }
    }

    /// The body of the last answer.
    pub(crate) fn body(&self) -> &[u8] {
        head_of(&self.answer).and_then(|head| self.answer.get(head.len() + 4..)).unwrap_or_default()
    }
}

fn head_of(answer: &[u8]) -> Option<&[u8]> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    answer.get(..end)
}

/// The status, once the answer is all there.
fn whole(answer: &[u8]) -> Result<Option<u16>, Failure> {
    let Some(head) = head_of(answer) else { return Ok(None) };
    let text = std::str::from_utf8(head)?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).ok_or("an answer has no status")?.parse()?;
    let length =
        lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.ok_or("an answer has no length")?.1.trim().parse()?;
    Ok((answer.len() >= head.len() + 4 + length).then_some(status))
}

/// The signature of marketplace A's default store on this machine.
pub(crate) fn sign(body: &str) -> Result<String, Failure> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(b"secret")?;
    mac.update(body.as_bytes());
    Ok(hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_is_whole_when_all_that_it_announces_is_there() {
        let answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\nx: y\r\n\r\n{}";
        assert_eq!(whole(answer).unwrap(), Some(202));
        for cut in 0..answer.len() {
            assert_eq!(whole(&answer[..cut]).unwrap(), None, "{cut} bytes");
        }
    }

    #[test]
    fn answer_without_a_length_is_an_error() {
        assert!(whole(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(whole(b"nonsense\r\n\r\n").is_err());
    }
}
