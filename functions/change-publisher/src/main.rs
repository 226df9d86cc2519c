//! The function's entry point in Lambda: wiring only.

use aws_lambda_events::event::dynamodb::Event;
use evenstock_change_publisher::{Publisher, handle};
use evenstock_runtime::{Environment, LogFormat, SystemClock, init_logs};
use evenstock_store::{DynamoStore, dynamodb_client};
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::of_process();
    init_logs(environment.optional("LOG_LEVEL").unwrap_or("info"), LogFormat::Json);
    let client = dynamodb_client(&environment.aws()?);
    let store = DynamoStore::new(client, environment.required("TABLE_NAME")?, environment.history_days()?);
    let publisher = &Publisher { store, clock: SystemClock, ids: environment.event_id_key()? };
    let handler = async |event: LambdaEvent<Event>| Ok::<_, Error>(handle(publisher, event.payload).await);
    lambda_runtime::run(service_fn(handler)).await
}
