//! The filter tested natively: the store is one of the test's thread, and the answers of the database are the test's own.

use first_lookup::known_customers_once;
use gristmill_sdk::{Change, LookupFailure, Message, Verdict, sql, store};

fn order(id: &str, number: u64, customer: i64) -> Message {
    shop();
    Message::test(format!(r#"{{"number": {number}, "customer": {customer}}}"#)).with_id(id)
}

fn shop() {
    sql::answer(|database, _, params| match (database, params) {
        ("shop", [sql::Value::Integer(7)]) => Ok(sql::Rows::test(["name"], [("ann",)])),
        _ => Ok(sql::Rows::default()),
    });
}

#[test]
fn an_order_passes_once_and_again_in_its_next_attempt() {
    store::clear();
    let named = Ok(Change::default().with_header("customer", "ann").into());
    assert_eq!(known_customers_once(order("a", 1, 7)), named);
    assert_eq!(known_customers_once(order("b", 1, 7)), Ok(Verdict::drop("came before")));
    assert_eq!(known_customers_once(order("a", 1, 7)), named);
}

#[test]
fn a_customer_who_is_not_there_is_rejected_and_a_database_that_is_away_waited_for() {
    store::clear();
    assert_eq!(known_customers_once(order("a", 2, 8)).unwrap_err().reason(), "no such customer");
    let message = order("a", 2, 7);
    sql::answer(|_, _, _| Err(LookupFailure::Unavailable("away".to_owned())));
    assert!(known_customers_once(message).unwrap_err().is_retry());
}
