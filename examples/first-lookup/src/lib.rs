//! Drops an order that came before, and puts the name of its customer beside the others.

use gristmill_sdk::{Error, Message, Result, Verdict, filter, sql, store};

#[derive(serde::Deserialize)]
struct Order {
    number: u64,
    customer: i64,
}

#[filter]
pub fn known_customers_once(mut message: Message) -> Result<Verdict> {
    let order: Order = message.json()?;
    let (key, id) = (format!("order:{}", order.number), message.id());
    if !store::add(&key, &id, None)? && store::get_text(&key)?.is_some_and(|first| first != id) {
        return Ok(Verdict::drop("came before"));
    }
    let rows = sql::query("shop", "SELECT name FROM customers WHERE id = ?", (order.customer,))?;
    let customer = rows.first().ok_or(Error::reject("no such customer"))?;
    message.set_header("customer", customer.get::<String>("name")?);
    Ok(message.into())
}
