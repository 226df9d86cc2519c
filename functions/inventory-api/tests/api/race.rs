//! Many callers at once. The store yields around every call, so that their steps interleave.

use futures::future::join_all;
use serde_json::json;

use crate::{Function, update};

#[tokio::test]
async fn of_sixty_four_updates_on_one_version_one_is_applied() {
    let function = Function::new();
    function.stock("SKU-1", "main", 100).await;
    let bodies: Vec<_> = (0..64).map(|n| update(-1, Some(1), &n.to_string())).collect();
    let replies = join_all(bodies.iter().map(|body| function.post(body))).await;
    let applied = replies.iter().filter(|reply| reply.status == 200).count();
    let refused = replies.iter().filter(|reply| reply.status == 409).count();
    assert_eq!((applied, refused), (1, 63));
    let current = json!({ "available": 99, "version": 2 });
    assert!(replies.iter().all(|reply| reply.status == 200 || reply.body["current"] == current));
}

#[tokio::test]
async fn of_sixty_four_decrements_on_ten_units_ten_are_applied() {
    let function = Function::new();
    function.stock("SKU-1", "main", 10).await;
    let bodies: Vec<_> = (0..64).map(|n| update(-1, None, &n.to_string())).collect();
    let replies = join_all(bodies.iter().map(|body| function.post(body))).await;
    let mut left: Vec<_> = replies.iter().filter_map(|reply| reply.body["newQuantity"].as_i64()).collect();
    left.sort_unstable();
    assert_eq!(left, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(replies.iter().filter(|reply| reply.status == 422).count(), 54);
    assert_eq!(function.get("/inventory/SKU-1").await.body["available"], 0);
}

#[tokio::test]
async fn of_sixty_four_creations_one_is_first() {
    let function = Function::new();
    let bodies: Vec<_> = (0..64).map(|n| update(5, Some(0), &n.to_string())).collect();
    let replies = join_all(bodies.iter().map(|body| function.post(body))).await;
    let statuses = [200, 409].map(|status| replies.iter().filter(|reply| reply.status == status).count());
    assert_eq!(statuses, [1, 63]);
}

#[tokio::test]
async fn one_request_sent_sixty_four_times_at_once_has_one_effect_and_one_answer() {
    let function = Function::new();
    function.stock("SKU-1", "main", 10).await;
    let body = update(-3, None, "k");
    let replies = join_all((0..64).map(|_| function.post(&body))).await;
    assert!(replies.iter().all(|reply| (reply.status, &reply.body) == (200, &replies[0].body)));
    let first = replies.iter().filter(|reply| reply.header("idempotency-replayed").is_none()).count();
    assert_eq!(first, 1);
    assert_eq!(function.get("/inventory/SKU-1").await.body["available"], 7);
}
