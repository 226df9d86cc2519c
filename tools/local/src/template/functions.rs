//! The functions of the template and what invokes them.

use super::node::Node;
use super::{FunctionSettings, TemplateError, Trigger};
use crate::filter::Pattern;

/// What AWS takes for a function or an event source that does not say.
const TIMEOUT_DEFAULT_S: u64 = 3;
const SQS_BATCH_DEFAULT: usize = 10;
const STREAM_BATCH_DEFAULT: usize = 100;

/// When the stream's trigger gives up on a record, and where it then points to it. A local run never gives up: the
/// machine's owner is there to look.
const STREAM_DEPLOYED_ONLY: [&str; 4] =
    ["BisectBatchOnFunctionError", "DestinationConfig", "MaximumRecordAgeInSeconds", "MaximumRetryAttempts"];

/// Reads a function. Its properties other than time-out and events say how it is deployed.
pub(super) fn function(
    name: &str,
    resource: &Node<'_>,
    globals: Option<&Node<'_>>,
) -> Result<FunctionSettings, TemplateError> {
    let properties = resource.need("Properties")?;
    let timeout = properties.get("Timeout").or_else(|| globals?.get("Timeout"));
    let events = properties.get("Events").map(|events| events.entries()).transpose()?.unwrap_or_default();
    Ok(FunctionSettings {
        logical_id: name.to_owned(),
        timeout_s: timeout.map_or(Ok(TIMEOUT_DEFAULT_S), |timeout| timeout.number())?,
        triggers: events.iter().map(|(_, event)| trigger(event)).collect::<Result<_, _>>()?,
    })
}

fn trigger(event: &Node<'_>) -> Result<Trigger, TemplateError> {
    let kind = event.need("Type")?;
    let properties = event.need("Properties")?;
    match kind.text()?.as_str() {
        "HttpApi" => http(&properties),
        "SQS" => sqs(&properties),
        "Schedule" => schedule(&properties),
        "DynamoDB" => stream(&properties),
        unknown => Err(kind.wrong(format!("is {unknown}, which is not known here"))),
    }
}

fn http(properties: &Node<'_>) -> Result<Trigger, TemplateError> {
    properties.only(&["ApiId", "Method", "Path"])?;
    let method = properties.need("Method")?.text()?.to_uppercase();
    Ok(Trigger::Http { method, path: properties.need("Path")?.text()? })
}

fn sqs(properties: &Node<'_>) -> Result<Trigger, TemplateError> {
    let known = ["Queue", "BatchSize", "MaximumBatchingWindowInSeconds", "FunctionResponseTypes", "ScalingConfig"];
    properties.only(&known)?;
    check_partial_failures(properties)?;
    let scaling = properties.get("ScalingConfig").map(|scaling| scaling.need("MaximumConcurrency")).transpose()?;
    Ok(Trigger::Sqs {
        queue: properties.need("Queue")?.resource("Arn")?,
        batch_size: number_or(properties, "BatchSize", SQS_BATCH_DEFAULT)?,
        window_s: number_or(properties, "MaximumBatchingWindowInSeconds", 0)?,
        concurrency_max: scaling.map(|limit| limit.number()).transpose()?,
    })
}

fn schedule(properties: &Node<'_>) -> Result<Trigger, TemplateError> {
    properties.only(&["Schedule", "Description"])?;
    let schedule = properties.need("Schedule")?;
    let every_s = rate_s(&schedule.text()?).ok_or_else(|| schedule.wrong("must be a rate such as rate(5 minutes)"))?;
    Ok(Trigger::Schedule { every_s })
}

/// Seconds of `rate(N unit)`.
pub(super) fn rate_s(text: &str) -> Option<u64> {
    let (count, unit) = text.strip_prefix("rate(")?.strip_suffix(')')?.split_once(' ')?;
    let unit_s = match unit.trim_end_matches('s') {
        "minute" => 60,
        "hour" => 60 * 60,
        "day" => 24 * 60 * 60,
        _ => return None,
    };
    count.parse::<u64>().ok()?.checked_mul(unit_s).filter(|seconds| *seconds > 0)
}

fn stream(properties: &Node<'_>) -> Result<Trigger, TemplateError> {
    let known = [
        "Stream",
        "StartingPosition",
        "BatchSize",
        "MaximumBatchingWindowInSeconds",
        "FunctionResponseTypes",
        "FilterCriteria",
    ];
    properties.only(&[&known[..], &STREAM_DEPLOYED_ONLY].concat())?;
    check_partial_failures(properties)?;
    properties.need("Stream")?.resource("StreamArn")?;
    let start = properties.need("StartingPosition")?;
    if start.text()? != "TRIM_HORIZON" {
        return Err(start.wrong("must be TRIM_HORIZON"));
    }
    let filters = match properties.get("FilterCriteria") {
        Some(criteria) => criteria.need("Filters")?.list()?,
        None => Vec::new(),
    };
    Ok(Trigger::Stream {
        batch_size: number_or(properties, "BatchSize", STREAM_BATCH_DEFAULT)?,
        window_s: number_or(properties, "MaximumBatchingWindowInSeconds", 0)?,
        filters: filters.iter().map(pattern).collect::<Result<_, _>>()?,
    })
}

fn pattern(filter: &Node<'_>) -> Result<Pattern, TemplateError> {
    let pattern = filter.need("Pattern")?;
    Pattern::parse(&pattern.text()?).map_err(|error| pattern.wrong(error.to_string()))
}

/// Without it one failed record would bring back the whole batch; a local run knows only the other way.
fn check_partial_failures(properties: &Node<'_>) -> Result<(), TemplateError> {
    let types = properties.need("FunctionResponseTypes")?;
    match types.list()?.as_slice() {
        [only] if only.text()? == "ReportBatchItemFailures" => Ok(()),
        _ => Err(types.wrong("must be ReportBatchItemFailures")),
    }
}

fn number_or<T: TryFrom<i64>>(properties: &Node<'_>, name: &str, default: T) -> Result<T, TemplateError> {
    properties.get(name).map_or(Ok(default), |number| number.number())
}
