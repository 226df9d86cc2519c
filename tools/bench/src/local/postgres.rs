//! The usual way beside ours: PostgreSQL's conditional update with a row in a ledger, one transaction in one round trip.

use std::sync::Arc;
use std::time::Duration;

use evenstock_runtime::Environment;
use futures::future::try_join_all;
use tokio::time::Instant;
use tokio_postgres::{Client, Config, NoTls};

use super::Rate;
use crate::Failure;

/// Units of each product: more than can be sold.
const UNITS: i64 = 1_000_000_000;

const PREPARE: &str = "DROP SCHEMA IF EXISTS evenstock_bench CASCADE;
    CREATE SCHEMA evenstock_bench;
    CREATE TABLE evenstock_bench.level (sku text PRIMARY KEY, available bigint NOT NULL);
    CREATE TABLE evenstock_bench.ledger (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        sku text NOT NULL, delta bigint NOT NULL, at timestamptz NOT NULL DEFAULT now()
    );";

/// One statement is one transaction: it is on disk when it is answered.
const SELL: &str = "WITH sold AS (
        UPDATE evenstock_bench.level SET available = available - 1 WHERE sku = $1 AND available >= 1 RETURNING sku
    ) INSERT INTO evenstock_bench.ledger (sku, delta) SELECT sku, -1 FROM sold";

/// Where it is, by the variables that its own programs read; `None` without `PGHOST`.
pub(super) fn settings(environment: &Environment) -> Result<Option<Config>, Failure> {
    let Some(host) = environment.optional("PGHOST") else { return Ok(None) };
    let mut config = Config::new();
    config.host(host).user(environment.optional("PGUSER").unwrap_or("postgres"));
    config.dbname(environment.optional("PGDATABASE").unwrap_or("postgres"));
    config.port(environment.parsed("PGPORT", "a port", 5432)?);
    if let Some(password) = environment.optional("PGPASSWORD") {
        config.password(password);
    }
    Ok(Some(config))
}

async fn connect(config: &Config) -> Result<Client, Failure> {
    let (client, connection) = config.connect(NoTls).await?;
    // Its failure is the client's failure too.
    tokio::spawn(connection);
    Ok(client)
}

/// Sells for so many seconds; every transaction is accounted for.
pub(super) async fn load(config: &Config, products: u64, connections: u64, seconds: u64) -> Result<Rate, Failure> {
    let keeper = connect(config).await?;
    keeper.batch_execute(PREPARE).await?;
    let fill = "INSERT INTO evenstock_bench.level SELECT 'SKU-' || n, $1 FROM generate_series(0, $2::bigint - 1) n";
    keeper.execute(fill, &[&UNITS, &i64::try_from(products)?]).await?;
    let config = Arc::new(config.clone());
    let mut clients = Vec::new();
    for _ in 0..connections {
        clients.push(connect(&config).await?);
    }
    let begun = Instant::now();
    let ends = begun + Duration::from_secs(seconds);
    let sellers = clients.into_iter().zip(0..).map(|(client, first)| tokio::spawn(sell(client, products, first, ends)));
    let mut done = 0;
    for ended in try_join_all(sellers).await? {
        done += ended?;
    }
    let took = begun.elapsed();
    let sum = "SELECT (SELECT count(*) FROM evenstock_bench.ledger), (SELECT sum($1 - available)::bigint FROM evenstock_bench.level)";
    let row = keeper.query_one(sum, &[&UNITS]).await?;
    let (rows, sold): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    if (rows, sold) != (i64::try_from(done)?, i64::try_from(done)?) {
        return Err(format!("PostgreSQL: {done} sales, {rows} rows, {sold} units").into());
    }
    keeper.batch_execute("DROP SCHEMA evenstock_bench CASCADE").await?;
    Ok(Rate { done, took })
}

async fn sell(client: Client, products: u64, first: u64, ends: Instant) -> Result<u64, Failure> {
    let sell = client.prepare(SELL).await?;
    let mut done = 0;
    for n in (first * 31).. {
        if Instant::now() >= ends {
            break;
        }
        let sku = format!("SKU-{}", n % products);
        if client.execute(&sell, &[&sku]).await? != 1 {
            return Err(format!("PostgreSQL did not sell {sku}").into());
        }
        done += 1;
    }
    Ok(done)
}
