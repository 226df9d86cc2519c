//! The function's entry point in Lambda: wiring only.

use aws_lambda_events::event::dynamodb::Event;
use evenstock_change_publisher::handle;
use evenstock_runtime::{Environment, LogFormat, init_logs};
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::of_process();
    init_logs(environment.optional("LOG_LEVEL").unwrap_or("info"), LogFormat::Json);
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Event>| Ok::<_, Error>(handle(event.payload)))).await
}
