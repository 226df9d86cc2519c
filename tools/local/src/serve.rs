//! Starting everything, and ending it in order.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::Extensions;
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter};
use evenstock_app::Clock;
use evenstock_runtime::http::{RequestId, shell};
use evenstock_runtime::{Environment, SystemClock, is_exporting, keep_reasons, send_telemetry};
use futures::future::FutureExt;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::{Service, ServiceExt, service_fn};
use tracing::{info, warn};

use crate::dynamo::{DynamoError, LocalDynamo};
use crate::functions::{Functions, WiringError, unserved};
use crate::home::{Home, HomeError, new_key, new_seal_keys};
use crate::local_routes::local_routes;
use crate::pump::{Stop, pump, tick};
use crate::queue::{LocalQueueError, LocalQueues};
use crate::stream::{StreamError, StreamReader};
use crate::template::{Template, TemplateError, Trigger};

/// Pumps of one queue at a time, at most: two cores gain nothing from more.
const PUMPS_MAX: usize = 2;

/// How long requests and batches in work may take when the process ends.
const DRAIN: Duration = Duration::from_secs(20);

/// How often telemetry is sent.
const TELEMETRY_EVERY: Duration = Duration::from_secs(1);

/// What the command line said.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) port: u16,
    /// `None`: keep nothing.
    pub(crate) data: Option<PathBuf>,
    pub(crate) environment: Environment,
}

/// Why it does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error("port {0} on 127.0.0.1 cannot be used")]
    Port(u16, #[source] std::io::Error),
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("the table cannot be opened")]
    Dynamo(#[from] DynamoError),
    #[error("the queues cannot be opened")]
    Queues(#[from] LocalQueueError),
    #[error("the table's stream cannot be opened")]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Wiring(#[from] WiringError),
    #[error("no key can be made")]
    Randomness(#[source] std::io::Error),
    #[error("the server failed")]
    Server(#[source] std::io::Error),
}

/// Serves until Ctrl-C or SIGTERM, then drains.
pub(crate) async fn serve(settings: Settings) -> Result<(), ServeError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, settings.port));
    let listener = TcpListener::bind(address).await.map_err(|error| ServeError::Port(settings.port, error))?;
    let port = listener.local_addr().map_err(ServeError::Server)?.port();
    let template = Template::built_in()?;
    let home = settings.data.as_deref().map(Home::open).transpose()?;
    let event_id_key = home.as_ref().map_or_else(new_key, |home| home.event_id_key.clone());
    let seal_keys = match &home {
        Some(home) => home.seal_keys.clone(),
        None => new_seal_keys().map_err(ServeError::Randomness)?,
    };
    let environment = settings.environment.with_defaults([
        ("MARKETPLACE_A_SECRET", "secret".to_owned()),
        ("MARKETPLACE_B_API_KEY", "test-key".to_owned()),
        ("EVENT_ID_KEY", event_id_key),
        ("SCHEDULE_STEP_SECONDS", "1".to_owned()),
        ("SEAL_KEYS", seal_keys),
        // The mock is one of the functions here.
        ("MARKETPLACE_BASE_URL", format!("http://127.0.0.1:{port}")),
        ("ALLOW_PRIVATE_CALLBACKS", "true".to_owned()),
    ]);

    let file = |name| home.as_ref().map(|home| home.file(name));
    let dynamo = LocalDynamo::start(file("table.sqlite").as_deref(), &template.table).await?;
    let now_ms = || SystemClock.now().as_millis();
    let queues = LocalQueues::open(file("queues.sqlite").as_deref(), template.queues.clone(), now_ms)?;
    queues.release_abandoned().await?;
    keep_reasons();
    let functions = Functions::wire(&environment, dynamo.endpoint(), &template, &queues).await?;

    let (stopping, stop) = watch::channel(false);
    let mut work = JoinSet::new();
    let routes = start_triggers(&template, &functions, &environment, &queues, &dynamo, &stop, &mut work)?;
    let mut stop_server = stop.clone();
    let server = axum::serve(listener, shell(routes)).with_graceful_shutdown(async move {
        if stop_server.wait_for(|stop| *stop).await.is_err() {
            warn!("the runner ended before its server");
        }
    });
    work.spawn(async move { server.await.map_err(ServeError::Server) });
    if is_exporting() {
        work.spawn(send_in_background(stop.clone()));
    }
    let signal = signal().map_err(ServeError::Server)?;
    say_ready(port).map_err(ServeError::Server)?;

    let ended_early = tokio::select! {
        () = signal => None,
        ended = work.join_next() => ended,
    };
    info!("draining");
    stopping.send_replace(true);
    let drain = async {
        let mut result = ended_early.map_or(Ok(()), flatten);
        while let Some(ended) = work.join_next().await {
            match (flatten(ended), &result) {
                (Err(error), Err(_)) => warn!(%error, "another part failed too"),
                (ended, Ok(())) => result = ended,
                (Ok(()), Err(_)) => {}
            }
        }
        result
    };
    match tokio::time::timeout(DRAIN, drain).await {
        Ok(result) => result?,
        // Whatever is cut off here was not acknowledged, and comes again at the next start.
        Err(_) => warn!("some work did not end within {} s and was cut off", DRAIN.as_secs()),
    }
    drop(functions);
    send_telemetry(true).await;
    dynamo.stop().await?;
    Ok(())
}

/// Sends telemetry until `stop`; what is done while the process drains goes with the last request.
async fn send_in_background(mut stop: Stop) -> Result<(), ServeError> {
    while tokio::time::timeout(TELEMETRY_EVERY, stop.wait_for(|stop| *stop)).await.is_err() {
        send_telemetry(false).await;
    }
    Ok(())
}

/// Starts a task for every queue, schedule and stream of the template; answers the routes.
fn start_triggers(
    template: &Template,
    functions: &Functions,
    environment: &Environment,
    queues: &LocalQueues,
    dynamo: &LocalDynamo,
    stop: &Stop,
    work: &mut JoinSet<Result<(), ServeError>>,
) -> Result<Router, ServeError> {
    let mut routes = Router::new();
    let mut ticks = BTreeMap::new();
    for function in &template.functions {
        let name = function.logical_id.clone();
        for trigger in &function.triggers {
            match trigger {
                Trigger::Http { method, path } => {
                    let filter = method_filter(method).ok_or_else(|| unserved(&name, "HttpApi"))?;
                    let service = afresh(functions.http(&name)?);
                    for path in also_under(template, method, path) {
                        let on_method = MethodRouter::<(), Infallible>::new().on_service(filter, service.clone());
                        routes = routes.route(&route_of(path), on_method);
                    }
                }
                Trigger::Sqs { queue, batch_size, window_s, concurrency_max } => {
                    let handler = functions.batches(&name)?;
                    for _ in 0..concurrency_max.unwrap_or(PUMPS_MAX).min(PUMPS_MAX) {
                        let (handler, stop) = (handler.clone(), stop.clone());
                        let pump = pump(queues.clone(), queue.clone(), *batch_size, *window_s > 0, handler, stop);
                        work.spawn(async { pump.await.map_err(ServeError::Queues) });
                    }
                }
                Trigger::Schedule { every_s } => {
                    let every = Duration::from_secs(tick_seconds(&name, *every_s, environment));
                    let handler = functions.ticks(&name)?;
                    ticks.insert(name.clone(), handler.clone());
                    let tick = tick(name.clone(), every, handler, stop.clone());
                    work.spawn(async {
                        tick.await;
                        Ok(())
                    });
                }
                Trigger::Stream { batch_size, filters, .. } => {
                    let handler = functions.stream(&name)?;
                    let reader = StreamReader::open(dynamo, &template.table.name, *batch_size, filters.clone())?;
                    let mut stop = stop.clone();
                    work.spawn(async move {
                        let stopped = async {
                            if stop.wait_for(|stop| *stop).await.is_err() {
                                warn!("the runner ended before its stream");
                            }
                        };
                        reader.run(move |event| handler(event).map(Ok::<_, Infallible>), stopped).await;
                        Ok(())
                    });
                }
            }
        }
    }
    Ok(routes.merge(local_routes(queues, ticks, &functions.access)))
}

/// A function that sees the request as it came, without what our own routing found in its path.
fn afresh(
    function: Router,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static {
    service_fn(move |request: Request| {
        let (mut parts, body) = request.into_parts();
        let id = parts.extensions.remove::<RequestId>();
        parts.extensions = Extensions::new();
        if let Some(id) = id {
            parts.extensions.insert(id);
        }
        function.clone().oneshot(Request::from_parts(parts, body))
    })
}

/// A route's own path, and those of other methods' routes that it covers: the gateway looks among the routes of a
/// request's method only, whereas our router takes the path that fits best and then asks for the method.
fn also_under<'a>(template: &'a Template, method: &str, path: &'a str) -> Vec<&'a str> {
    let triggers = template.functions.iter().flat_map(|function| &function.triggers);
    let routes = triggers.filter_map(|trigger| match trigger {
        Trigger::Http { method, path } => Some((method.as_str(), path.as_str())),
        _ => None,
    });
    let routes: BTreeSet<_> = routes.collect();
    let paths: BTreeSet<_> = routes.iter().map(|(_, path)| *path).collect();
    // The longest greedy route that covers it is the one that the gateway takes.
    let taken_by = |other: &str| {
        let greedy = routes.iter().filter(|(own, greedy)| *own == method && covers(greedy, other));
        greedy.max_by_key(|(_, greedy)| greedy.len()).map(|(_, greedy)| *greedy)
    };
    let others = paths.iter().filter(|other| !routes.contains(&(method, **other)) && taken_by(other) == Some(path));
    [path].into_iter().chain(others.copied()).collect()
}

/// Whether a greedy route covers a path without parameters.
fn covers(greedy: &str, path: &str) -> bool {
    let prefix = greedy.strip_suffix("+}").and_then(|route| route.rsplit_once('{')).map(|(prefix, _)| prefix);
    let rest = prefix.filter(|_| !path.contains('{')).and_then(|prefix| path.strip_prefix(prefix));
    rest.is_some_and(|rest| !rest.is_empty())
}

/// A path of the gateway as our router writes it: a greedy parameter is `{name+}` there and `{*name}` here.
fn route_of(path: &str) -> String {
    let segment = |segment: &str| match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix("+}")) {
        Some(name) => format!("{{*{name}}}"),
        None => segment.to_owned(),
    };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

fn method_filter(method: &str) -> Option<MethodFilter> {
    MethodFilter::try_from(method.parse::<axum::http::Method>().ok()?).ok()
}

/// How often stores that are due are queued; the scheduler does the rest as often then.
const SYNC_INTERVAL: &str = "SYNC_SCHEDULER_INTERVAL_SECONDS";

/// In AWS a schedule ticks each minute at most. Here a shorter interval is honoured.
fn tick_seconds(function: &str, template: u64, environment: &Environment) -> u64 {
    let name = match function {
        "SchedulerFunction" if environment.optional(SYNC_INTERVAL).is_some() => SYNC_INTERVAL,
        "SchedulerFunction" => "SWEEP_INTERVAL_SECONDS",
        // It looks each second whether it is time, because its interval can be changed while it runs.
        "PollerFunction" => return 1,
        _ => return template,
    };
    let interval = environment.parsed(name, "seconds", template).unwrap_or(template);
    template.min(interval).max(1)
}

fn flatten(ended: Result<Result<(), ServeError>, tokio::task::JoinError>) -> Result<(), ServeError> {
    ended.unwrap_or_else(|error| Err(ServeError::Server(std::io::Error::other(error))))
}

/// The one line on stdout, for whoever started us.
fn say_ready(port: u16) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready http://127.0.0.1:{port}")?;
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
