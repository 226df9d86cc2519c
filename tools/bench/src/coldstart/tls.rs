//! TLS 1.3 before a plain address, with a chain like Amazon's: a root, an authority between and a certificate, all RSA
//! with 2048 bits, made for this run.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, version};

use super::traffic::Traffic;
use crate::Failure;

/// The roots that a deployed function trusts.
const AMAZON_ROOTS: &[u8] = include_bytes!("../../../../shared/store/amazon-roots.pem");

/// Certificates of this run.
pub(crate) struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// Makes them. Needs OpenSSL 3.
    pub(crate) async fn make() -> Result<Self, Failure> {
        let made = Self { folder: tempfile::tempdir()? };
        made.certify("root", None, "basicConstraints=critical,CA:TRUE").await?;
        made.certify("between", Some("root"), "basicConstraints=critical,CA:TRUE").await?;
        made.certify("server", Some("between"), "subjectAltName=IP:127.0.0.1").await?;
        Ok(made)
    }

    async fn certify(&self, name: &str, issuer: Option<&str>, extension: &str) -> Result<(), Failure> {
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha256", "-days", "2"]);
        command.args(["-subj", &format!("/CN=evenstock bench {name}"), "-addext", extension]);
        command
            .arg("-keyout")
            .arg(self.path(&format!("{name}.key")))
            .arg("-out")
            .arg(self.path(&format!("{name}.pem")));
        if let Some(issuer) = issuer {
            command.arg("-CA").arg(self.path(&format!("{issuer}.pem")));
            command.arg("-CAkey").arg(self.path(&format!("{issuer}.key")));
            if name == "server" {
                command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
            }
        }
        let output = command.output().await.map_err(|error| format!("openssl does not run: {error}"))?;
        if !output.status.success() {
            return Err(format!("openssl: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file with this run's root behind those in `others`.
    async fn roots_with(&self, name: &str, others: &[u8]) -> Result<PathBuf, Failure> {
        let path = self.path(name);
        let root = tokio::fs::read(self.path("root.pem")).await?;
        tokio::fs::write(&path, [others, b"\n", &root].concat()).await?;
        Ok(path)
    }

    /// As many roots as a deployed function reads, and this run's.
    pub(crate) async fn pinned_roots(&self) -> Result<PathBuf, Failure> {
        self.roots_with("pinned-roots.pem", AMAZON_ROOTS).await
    }

    /// This machine's roots, and this run's.
    pub(crate) async fn system_roots(&self) -> Result<PathBuf, Failure> {
        let bundles = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
        let bundle =
            bundles.map(Path::new).into_iter().find(|path| path.is_file()).ok_or("no roots on this machine")?;
        self.roots_with("system-roots.pem", &tokio::fs::read(bundle).await?).await
    }

    /// Serves TLS 1.3 on a free port of loopback and passes on to `plain`, which counts the connection; one whose
    /// handshake fails is counted here: its address.
    pub(crate) async fn serve(&self, plain: String, traffic: Arc<Traffic>) -> Result<String, Failure> {
        let mut chain = Vec::new();
        for name in ["server.pem", "between.pem"] {
            chain.push(CertificateDer::from_pem_file(self.path(name))?);
        }
        let key = PrivateKeyDer::from_pem_file(self.path("server.key"))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?.to_string();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, plain, traffic) = (acceptor.clone(), plain.clone(), Arc::clone(&traffic));
                tokio::spawn(async move {
                    if let Err(error) = pass_on(&acceptor, stream, &plain, &traffic).await {
                        tracing::debug!(%error, "a TLS connection ended");
                    }
                });
            }
        });
        Ok(address)
    }
}

async fn pass_on(acceptor: &TlsAcceptor, stream: TcpStream, plain: &str, traffic: &Traffic) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut client = acceptor.accept(stream).await.inspect_err(|_| traffic.connected())?;
    let mut server = TcpStream::connect(plain).await?;
    server.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
