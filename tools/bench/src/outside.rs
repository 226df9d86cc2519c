//! The world that the product talks to, played on a port of this machine: marketplaces, warehouses, receivers.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Json;
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::Failure;

/// What marketplace B and the warehouses answer.
#[derive(Debug, Default)]
struct Shown {
    rows: Vec<Value>,
    stock: Vec<Value>,
}

/// The world outside.
pub(crate) struct Outside {
    /// Where it is.
    pub(crate) base: String,
    listener: Mutex<Option<TcpListener>>,
    shown: Arc<Mutex<Shown>>,
}

impl Outside {
    pub(crate) async fn bind() -> Result<Self, Failure> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let base = format!("http://{}", listener.local_addr()?);
        Ok(Self { base, listener: Mutex::new(Some(listener)), shown: Arc::default() })
    }

    /// Serves, with the marketplaces that validate receipts.
    pub(crate) fn serve(&self, marketplaces: Router) {
        let Some(listener) = self.listener.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        let routes = Router::new()
            .route("/inventory/updates", get(rows))
            .route("/inventory", get(stock))
            .route("/takes", post(async || StatusCode::OK))
            .route("/refuses", post(async || StatusCode::INTERNAL_SERVER_ERROR))
            .with_state(Arc::clone(&self.shown))
            .merge(marketplaces);
        tokio::spawn(async move { axum::serve(listener, routes).await });
    }

    /// What marketplace B has changed.
    pub(crate) fn show_rows(&self, rows: Vec<Value>) {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).rows = rows;
    }

    /// What lies in the warehouses.
    pub(crate) fn show_stock(&self, stock: Vec<Value>) {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).stock = stock;
    }
}

/// A poll's answer: at most as many rows as it asks for.
async fn rows(State(shown): State<Arc<Mutex<Shown>>>, Query(query): Query<Vec<(String, String)>>) -> Json<Value> {
    let limit = query.iter().find(|(name, _)| name == "limit").and_then(|(_, limit)| limit.parse().ok());
    let rows = shown.lock().unwrap_or_else(PoisonError::into_inner).rows.clone();
    Json(json!({ "items": rows.into_iter().take(limit.unwrap_or(usize::MAX)).collect::<Vec<_>>() }))
}

/// A warehouse's whole stock, in one page.
async fn stock(State(shown): State<Arc<Mutex<Shown>>>) -> Json<Value> {
    let stock = shown.lock().unwrap_or_else(PoisonError::into_inner).stock.clone();
    Json(json!({ "items": stock, "nextCursor": "" }))
}
