//! What one server of a Redis Cluster knows of the others.

use super::find::Astray;
use redis::{ConnectionAddr, RedisError, Value, aio::MultiplexedConnection};

/// The servers of a cluster, as one of them sees it.
#[derive(Debug)]
pub(super) struct View(Vec<Range>);

/// Slots that belong together.
#[derive(Debug)]
struct Range {
    first: i64,
    last: i64,
    /// The master first, then its replicas.
    nodes: Vec<ConnectionAddr>,
}

impl View {
    /// Asks the server at `asked`.
    ///
    /// `CLUSTER SLOTS` rather than `SHARDS`: every version knows it, and who asks by TLS is told the ports for TLS.
    pub(super) async fn ask(
        asked: &ConnectionAddr,
        connection: &mut MultiplexedConnection,
    ) -> Result<Self, RedisError> {
        let info = redis::cmd("CLUSTER").arg("INFO").query_async::<String>(connection).await;
        // One that is cut off from the others believes what was true before. Who may not ask relies on `ROLE`.
        if info.is_ok_and(|info| info.contains("cluster_state:fail")) {
            return Err(Astray::ClusterDown(asked.to_string()).into());
        }
        let rows: Vec<Vec<Value>> = redis::cmd("CLUSTER").arg("SLOTS").query_async(connection).await?;
        Ok(Self(rows.iter().filter_map(|row| range(row, asked)).collect()))
    }

    /// The master of `slot`, or any master.
    pub(super) fn master(&self, slot: Option<u16>) -> Result<ConnectionAddr, Astray> {
        let holds = |range: &&Range| slot.is_none_or(|slot| (range.first..=range.last).contains(&i64::from(slot)));
        let range = self.0.iter().find(holds);
        range.and_then(|range| range.nodes.first()).cloned().ok_or(Astray::Unassigned(slot.unwrap_or(0)))
    }

    /// All that hold slots.
    pub(super) fn masters(&self) -> Vec<ConnectionAddr> {
        let mut masters: Vec<ConnectionAddr> = Vec::new();
        for master in self.0.iter().filter_map(|range| range.nodes.first()) {
            if !masters.contains(master) {
                masters.push(master.clone());
            }
        }
        masters
    }

    /// All, masters and replicas.
    pub(super) fn nodes(&self) -> impl Iterator<Item = ConnectionAddr> {
        self.0.iter().flat_map(|range| range.nodes.iter().cloned())
    }
}

/// Source: Redis documentation, `CLUSTER SLOTS`: first slot, last slot, then nodes as host, port, id and more.
fn range(row: &[Value], asked: &ConnectionAddr) -> Option<Range> {
    let [Value::Int(first), Value::Int(last), nodes @ ..] = row else { return None };
    let nodes = nodes.iter().filter_map(|value| node(value, asked)).collect();
    Some(Range { first: *first, last: *last, nodes })
}

fn node(value: &Value, asked: &ConnectionAddr) -> Option<ConnectionAddr> {
    let Value::Array(parts) = value else { return None };
    let [host, Value::Int(port), ..] = &parts[..] else { return None };
    let host = match host {
        Value::BulkString(host) => String::from_utf8(host.clone()).ok()?,
        _ => String::new(),
    };
    Some(beside(asked, &host, u16::try_from(*port).ok()?))
}

/// Another server of the same kind: by TLS if that one is, and at the same host if its own is not told.
pub(super) fn beside(known: &ConnectionAddr, host: &str, port: u16) -> ConnectionAddr {
    let own = match known {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host,
        _ => host,
    };
    let host = if matches!(host, "" | "?") { own } else { host }.to_owned();
    match known {
        ConnectionAddr::TcpTls { .. } => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        _ => ConnectionAddr::Tcp(host, port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(host: Value, port: i64) -> Value {
        Value::Array(vec![host, Value::Int(port), Value::BulkString(b"id".to_vec()), Value::Array(vec![])])
    }

    fn named(host: &str) -> Value {
        Value::BulkString(host.as_bytes().to_vec())
    }

    #[test]
    fn a_server_that_does_not_tell_its_host_is_where_it_was_asked() {
        let asked = ConnectionAddr::Tcp("here".into(), 1);
        let row = [
            Value::Int(0),
            Value::Int(99),
            node(Value::Nil, 7),
            node(named(""), 8),
            node(named("?"), 9),
            node(named("b"), 10),
        ];
        let range = range(&row, &asked).unwrap();
        let shown: Vec<String> = range.nodes.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["here:7", "here:8", "here:9", "b:10"]);
    }

    #[test]
    fn each_slot_has_its_master_and_a_slot_of_nobody_is_told() {
        let at = |port| ConnectionAddr::Tcp("h".into(), port);
        let range = |first, last, port| Range { first, last, nodes: vec![at(port), at(port + 100)] };
        let view = View(vec![range(0, 9, 1), range(10, 10, 2), range(20, 30, 1)]);
        assert_eq!(view.master(Some(10)).unwrap(), at(2));
        assert_eq!(view.master(Some(25)).unwrap(), at(1));
        assert!(view.master(Some(11)).is_err_and(|astray| astray.to_string().contains("slot 11")));
        assert_eq!(view.masters(), [at(1), at(2)]);
        assert_eq!(view.nodes().count(), 6);
    }

    #[test]
    fn what_is_reached_by_tls_leads_to_tls() {
        let asked = ConnectionAddr::TcpTls { host: "a".into(), port: 1, insecure: false, tls_params: None };
        assert!(matches!(beside(&asked, "b", 2), ConnectionAddr::TcpTls { insecure: false, port: 2, .. }));
    }
}
