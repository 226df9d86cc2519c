//! A DynamoDB emulator in this process, with the table of `template.yaml`.

use std::net::SocketAddr;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType,
};
use dynoxide::Database;
use evenstock_store::{AwsSettings, DynamoStore, dynamodb_client};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub(crate) const TABLE: &str = "evenstock";

/// A store on an empty table. The emulator ends with it.
pub(crate) struct Emulated {
    pub(crate) store: DynamoStore,
    pub(crate) client: aws_sdk_dynamodb::Client,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

pub(crate) async fn fresh() -> Emulated {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let database = Database::memory().unwrap();
    tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, async {
        stopped.await.unwrap_err();
    }));
    let client = client_to(address);
    create_table(&client).await;
    Emulated { store: DynamoStore::new(client.clone(), TABLE, 400), client, address, _stop: stop }
}

pub(crate) fn client_to(address: SocketAddr) -> aws_sdk_dynamodb::Client {
    dynamodb_client(&AwsSettings {
        region: "eu-central-1".to_owned(),
        endpoint_url: Some(format!("http://{address}")),
        access_key_id: "test".to_owned(),
        secret_access_key: "test".to_owned(),
        session_token: None,
    })
}

async fn create_table(client: &aws_sdk_dynamodb::Client) {
    let attribute =
        |name: &str, kind| AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap();
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let index = |name: &str, hash, range| {
        let projection = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
        let keys = [key(hash, KeyType::Hash), key(range, KeyType::Range)];
        let index = GlobalSecondaryIndex::builder().index_name(name).set_key_schema(Some(keys.to_vec()));
        index.projection(projection).build().unwrap()
    };
    client
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("pk", ScalarAttributeType::S))
        .attribute_definitions(attribute("sk", ScalarAttributeType::S))
        .attribute_definitions(attribute("o", ScalarAttributeType::S))
        .attribute_definitions(attribute("d", ScalarAttributeType::S))
        .attribute_definitions(attribute("dt", ScalarAttributeType::N))
        .attribute_definitions(attribute("u", ScalarAttributeType::S))
        .attribute_definitions(attribute("ut", ScalarAttributeType::N))
        .key_schema(key("pk", KeyType::Hash))
        .key_schema(key("sk", KeyType::Range))
        .global_secondary_indexes(index("by-organization", "o", "pk"))
        .global_secondary_indexes(index("due", "d", "dt"))
        .global_secondary_indexes(index("by-state", "u", "ut"))
        .send()
        .await
        .unwrap();
}
