//! Starting everything, and ending it in order.

use core::time::Duration;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::api;
use crate::cache::{Cache, Owner};
use crate::centre::Centre;
use crate::database::DatabaseError;
use crate::folder::{Folder, FolderError};
use crate::follow::follow;
use crate::intents::Intents;
use crate::node::{Node, now, stopped};
use crate::rebuild::{RebuildError, discard_cache, repair_intents};
use crate::replay::replay;
use crate::settings::Settings;
use crate::status::Status;
use crate::telemetry::Telemetry;

/// How long requests in work may take when the process ends. A write that is cut off is settled by its key.
const DRAIN: Duration = Duration::from_secs(15);

/// Why it does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error("{0} cannot be listened on")]
    Port(SocketAddr, #[source] std::io::Error),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    #[error(
        "{} is a copy of the stock at {kept}, and CENTRAL_URL names {named}; start once with --rebuild to fetch it anew \
         and to send the queued writes there, or use another DATA_DIR",
        .folder.display()
    )]
    OtherCentre { folder: PathBuf, kept: String, named: String },
    #[error(
        "writes of {store} wait in {}; start with STORE_ID={store} until they are sent, or use another DATA_DIR",
        .folder.display()
    )]
    OtherStore { folder: PathBuf, store: String },
    #[error("the HTTP client cannot start")]
    Client(#[source] reqwest::Error),
    #[error("the server failed")]
    Server(#[source] std::io::Error),
}

/// Serves until Ctrl-C or SIGTERM, then drains.
pub(crate) async fn serve(settings: Settings, telemetry: &Telemetry) -> Result<(), ServeError> {
    let address = settings.address;
    let listener = TcpListener::bind(address).await.map_err(|error| ServeError::Port(address, error))?;
    let folder = Folder::open(&settings.data)?;
    if !address.ip().is_loopback() && settings.clients.is_none() {
        warn!("anybody who reaches {address} may write: set STORE_API_KEY");
    }
    let (node, renew) = open(settings, &folder)?;
    let node = Arc::new(node);

    let (stopping, stop) = watch::channel(false);
    let address = listener.local_addr().map_err(ServeError::Server)?;
    let mut work: JoinSet<Result<(), std::io::Error>> = JoinSet::new();
    let mut stop_server = stop.clone();
    let server = axum::serve(listener, api::router(Arc::clone(&node)))
        .with_graceful_shutdown(async move { stopped(&mut stop_server).await });
    work.spawn(async move { server.await });
    let (follower, its_stop) = (Arc::clone(&node), stop.clone());
    work.spawn(async move {
        follow(&follower, renew, its_stop).await;
        Ok(())
    });
    let (sender, its_stop) = (Arc::clone(&node), stop.clone());
    work.spawn(async move {
        replay(&sender, its_stop).await;
        Ok(())
    });
    let sending = telemetry.clone().send_until(stop);
    work.spawn(async move {
        sending.await;
        Ok(())
    });
    let signal = signal().map_err(ServeError::Server)?;
    say_ready(address).map_err(ServeError::Server)?;

    let ended_early = tokio::select! {
        () = signal => None,
        ended = work.join_next() => ended,
    };
    info!("draining");
    stopping.send_replace(true);
    let drain = async {
        let mut failed = ended_early.and_then(failure);
        while let Some(ended) = work.join_next().await {
            match (failure(ended), &failed) {
                (Some(error), Some(_)) => warn!(%error, "another part failed too"),
                (error, None) => failed = error,
                (None, Some(_)) => {}
            }
        }
        failed
    };
    let drained = tokio::time::timeout(DRAIN, drain).await;
    telemetry.send(true).await;
    match drained {
        Ok(Some(error)) => Err(ServeError::Server(error)),
        Ok(None) => Ok(()),
        Err(_) => {
            warn!("some requests did not end within {} s and were cut off", DRAIN.as_secs());
            Ok(())
        }
    }
}

/// Opens the node's files. The second value says whether the copy has to be made anew beside the one in use.
fn open(settings: Settings, folder: &Folder) -> Result<(Node, bool), ServeError> {
    let Settings { centre, api_key, store, queue, clients, rebuild, data, .. } = settings;
    let (cache_file, intents_file) = (folder.file("cache.sqlite"), folder.file("intents.sqlite"));
    if rebuild {
        discard_cache(&cache_file)?;
        repair_intents(&intents_file, now())?;
    }
    let (cache, intents) = (Cache::open(&cache_file)?, Intents::open(&intents_file)?);
    if let Some(store) = intents.other_store(store.as_str())? {
        return Err(ServeError::OtherStore { folder: data, store });
    }
    if rebuild {
        intents.release()?;
    }
    let owner = Owner { centre: centre.to_string(), key_mark: key_mark(&api_key) };
    let known = cache.owner(&owner)?;
    if known.centre != owner.centre {
        return Err(ServeError::OtherCentre { folder: data, kept: known.centre, named: owner.centre });
    }
    let renew = known.key_mark != owner.key_mark;
    if renew {
        info!("the key is another one than before; the copy is made anew, in case it belongs to another organization");
    }
    let centre = Centre::new(centre, api_key).map_err(ServeError::Client)?;
    let (status, send, look) = (Status::default(), Notify::new(), Notify::new());
    Ok((Node { store, queue, clients, owner, centre, cache, intents, status, send, look }, renew))
}

/// Tells keys apart without giving them away.
fn key_mark(key: &reqwest::header::HeaderValue) -> Vec<u8> {
    let digest = Sha256::new_with_prefix(b"evenstock store node key\0").chain_update(key.as_bytes()).finalize();
    digest.iter().copied().take(8).collect()
}

fn failure(ended: Result<Result<(), std::io::Error>, tokio::task::JoinError>) -> Option<std::io::Error> {
    ended.unwrap_or_else(|error| Err(std::io::Error::other(error))).err()
}

/// The one line on stdout, for whoever started us.
fn say_ready(address: SocketAddr) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready http://{address}")?;
    out.flush()
}

/// Resolves at Ctrl-C or SIGTERM; both are caught from the moment that this returns.
#[cfg(unix)]
fn signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Resolves at Ctrl-C.
#[cfg(not(unix))]
fn signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            warn!(%error, "signals cannot be received; ending");
        }
    })
}
