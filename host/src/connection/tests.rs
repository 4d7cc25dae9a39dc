//! Connections to real servers: one, by TLS, behind sentinels, in a cluster.

mod servers;

use super::{Access, Connector, Error, SILENCE, Tls, trouble::Trouble};
use redis::{aio::MultiplexedConnection, cmd};
use servers::{Authority, Cluster, Process, eventually, free_port};
use std::time::{Duration, Instant};

/// The port of the server at the other end.
async fn port(connection: &mut MultiplexedConnection) -> u16 {
    let told: Vec<String> = cmd("CONFIG").arg("GET").arg("port").query_async(connection).await.unwrap();
    told[1].parse().unwrap()
}

fn text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

async fn refused(connector: &Connector) -> Error {
    connector.check().await.unwrap_err()
}

fn by_tls(server: &Process, host: &str, tls: Tls) -> Connector {
    let url = format!("rediss://{host}:{}", server.port);
    Connector::with(&Access { url, tls, ..Access::default() }).unwrap()
}

mod single {
    use super::*;

    #[tokio::test]
    async fn a_user_with_a_password_comes_in_and_into_the_database() {
        let server = Process::start("--user app on >s3cret ~* &* +@all --user default off");
        let url = format!("redis://app:s3cret@{}/3", server.host());
        let connector = Connector::new(&url).unwrap();
        eventually("the server answers", async || connector.check().await.is_ok()).await;
        let mut connection = connector.at("jobs").blocking().await.unwrap().0;
        let who: String = cmd("CLIENT").arg("INFO").query_async(&mut connection).await.unwrap();
        assert!(who.contains(" user=app ") && who.contains(" db=3 "), "{who}");
    }

    #[tokio::test]
    async fn a_wrong_password_is_told_and_never_shown() {
        let server = Process::start("--requirepass right");
        let connector = Connector::new(&format!("redis://:wr0ng@{}", server.host())).unwrap();
        eventually("the server answers", async || !matches!(refused(&connector).await, Error::Unreachable { .. }))
            .await;
        let error = refused(&connector).await;
        let shown = format!("{} {error:?} {connector:?}", text(&error));
        assert!(shown.contains("does not let us in") && shown.contains("WRONGPASS"), "{shown}");
        assert!(!shown.contains("wr0ng"), "{shown}");
        let without = Connector::new(&format!("redis://{}", server.host())).unwrap();
        assert!(text(&refused(&without).await).contains("NOAUTH"));
    }

    #[tokio::test]
    async fn a_user_who_may_not_ask_for_the_version_learns_it_by_saying_hello() {
        let server = Process::start("--user default on nopass ~* &* +@all -info");
        drop(server.redis().await);
        let connector = Connector::new(&server.url()).unwrap();
        connector.check().await.unwrap();
    }

    #[tokio::test]
    async fn a_silent_connection_is_probed_within_seconds() {
        let server = Process::start("");
        drop(server.redis().await);
        let _held = Connector::new(&server.url()).unwrap().blocking().await.unwrap().0;
        let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let peer = format!(":{:04X}", server.port);
        // Source: proc(5): the third column is the peer, the sixth `02:` and centiseconds where probes are armed.
        let columns = sockets.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
        let ours: Vec<_> = columns.filter(|columns| columns[2].ends_with(&peer) && columns[3] == "01").collect();
        let timers: Vec<_> = ours.iter().filter_map(|columns| columns[5].strip_prefix("02:")).collect();
        let soon = |timer: &&str| u32::from_str_radix(timer, 16).is_ok_and(|left| left <= 1_000);
        assert!(timers.iter().any(soon), "{ours:?}");
    }

    #[tokio::test]
    async fn a_missing_permission_leaves_the_connection_and_is_named() {
        let server = Process::start("--user default on nopass ~* &* +@all -lmove");
        drop(server.redis().await);
        let connector = Connector::new(&server.url()).unwrap();
        let mut connection = connector.shared().await.unwrap();
        let mut take = cmd("LMOVE");
        let error = take.arg("a").arg("b").arg("LEFT").arg("RIGHT").exec_async(&mut connection).await.unwrap_err();
        assert!(!connector.is_lost(&error));
        assert!(connector.advice(&error, "jobs").contains("'lmove'"));
    }

    #[tokio::test]
    async fn a_server_that_becomes_a_replica_ends_the_connection() {
        let server = Process::start("");
        drop(server.redis().await);
        let connector = Connector::new(&server.url()).unwrap();
        let mut blocked = connector.blocking().await.unwrap().0;
        let mut wait = cmd("BLPOP");
        let wait = wait.arg("jobs").arg(20);
        let demote = async {
            eventually("a blocked client", async || {
                server.say::<String>("INFO clients").await.contains("blocked_clients:1")
            })
            .await;
            let () = server.say("REPLICAOF 127.0.0.1 1").await;
        };
        let (error, ()) = tokio::join!(wait.exec_async(&mut blocked), demote);
        let error = error.unwrap_err();
        assert_eq!(Trouble::of(&error), Trouble::Replica, "{error}");
        assert!(connector.is_lost(&error));
        let error = server.try_say::<u32>("LPUSH jobs x").await.unwrap_err();
        assert_eq!(Trouble::of(&error), Trouble::Replica, "{error}");
    }

    #[tokio::test]
    async fn a_full_server_is_recognised_through_a_script() {
        let server = Process::start("--maxmemory 1");
        let mut redis = server.redis().await;
        let script = redis::Script::new("return redis.call('RPUSH', KEYS[1], ARGV[1])");
        let error = script.key("jobs").arg("x").invoke_async::<u32>(&mut redis).await.unwrap_err();
        assert_eq!(Trouble::of(&error), Trouble::Full, "{error}");
    }

    /// What `check` says of a server with `options`.
    async fn said_of(options: &str) -> String {
        let server = Process::start(options);
        drop(server.redis().await);
        let log = tempfile::NamedTempFile::new().unwrap();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log.reopen().unwrap()).finish();
        let heard = tracing::subscriber::set_default(subscriber);
        Connector::new(&server.url()).unwrap().check().await.unwrap();
        drop(heard);
        std::fs::read_to_string(log.path()).unwrap()
    }

    #[tokio::test]
    async fn a_server_that_may_lose_messages_is_warned_of() {
        let said = said_of("--maxmemory 100mb --maxmemory-policy allkeys-lru").await;
        assert!(said.contains("messages can vanish") && said.contains("allkeys-lru"), "{said}");
        assert!(said.contains("keeps nothing over a restart"), "{said}");
    }

    #[tokio::test]
    async fn a_server_that_keeps_everything_is_not_warned_of() {
        let said = said_of("--appendonly yes --maxmemory-policy allkeys-lru").await;
        assert_eq!(said, "");
        let said = said_of("--user default on nopass ~* &* +@all -config").await;
        assert_eq!(said, "", "nobody knows whether it takes snapshots");
    }

    #[tokio::test]
    async fn nobody_there_is_told_with_the_address() {
        let url = format!("redis://127.0.0.1:{}", free_port());
        let error = refused(&Connector::new(&url).unwrap()).await;
        assert!(matches!(error, Error::Unreachable { .. }) && text(&error).contains(&url), "{}", text(&error));
    }
}

mod tls {
    use super::*;

    fn trusting(authority: &Authority) -> Tls {
        let (cert, key) = authority.issue(&["client"]);
        Tls { ca: Some(authority.ca()), cert: Some(cert), key: Some(key) }
    }

    #[tokio::test]
    async fn a_server_and_a_client_that_trust_each_other_talk() {
        let authority = Authority::new();
        let server = Process::tls(&authority, &["localhost", "127.0.0.1"]);
        for host in ["localhost", "127.0.0.1"] {
            let connector = by_tls(&server, host, trusting(&authority));
            eventually("the server answers", async || connector.check().await.is_ok()).await;
            let mut connection = connector.blocking().await.unwrap().0;
            cmd("PING").exec_async(&mut connection).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_server_that_nobody_vouches_for_is_refused() {
        let (authority, stranger) = (Authority::new(), Authority::new());
        let server = Process::tls(&authority, &["localhost"]);
        let good = by_tls(&server, "localhost", trusting(&authority));
        eventually("the server answers", async || good.check().await.is_ok()).await;
        let wrong_ca = Tls { ca: Some(stranger.ca()), ..trusting(&authority) };
        let system = Tls { ca: None, ..trusting(&authority) };
        for (host, tls) in [("localhost", wrong_ca), ("localhost", system), ("127.0.0.1", trusting(&authority))] {
            let error = refused(&by_tls(&server, host, tls)).await;
            assert!(matches!(error, Error::Unusable { .. }), "{}", text(&error));
            assert!(text(&error).contains("TLS does not come about"), "{}", text(&error));
            assert!(text(&error).contains("certificate"), "{}", text(&error));
        }
    }

    #[tokio::test]
    async fn a_client_without_a_certificate_is_told_so() {
        let authority = Authority::new();
        let server = Process::tls(&authority, &["localhost"]);
        let good = by_tls(&server, "localhost", trusting(&authority));
        eventually("the server answers", async || good.check().await.is_ok()).await;
        let bare = Tls { ca: Some(authority.ca()), ..Tls::default() };
        let error = text(&refused(&by_tls(&server, "localhost", bare)).await);
        assert!(error.contains("TLS does not come about"), "{error}");
    }

    #[test]
    fn files_that_cannot_be_used_are_named_before_anything_is_connected() {
        let authority = Authority::new();
        let (cert, key) = authority.issue(&["client"]);
        let refused = |tls: Tls| {
            let access = Access { url: "rediss://localhost".into(), tls, ..Access::default() };
            text(&Connector::with(&access).unwrap_err())
        };
        assert!(refused(Tls { ca: Some("/nowhere/ca.pem".into()), ..Tls::default() }).contains("`/nowhere/ca.pem`"));
        assert!(refused(Tls { ca: Some(key.clone()), ..Tls::default() }).contains("no certificate"));
        assert!(
            refused(Tls { cert: Some(cert.clone()), key: Some(cert.clone()), ca: None }).contains("no private key")
        );
        assert!(refused(Tls { cert: Some(cert), ..Tls::default() }).contains("needs its key"));
        assert!(refused(Tls { key: Some(key), ..Tls::default() }).contains("needs"));
    }
}

mod sentinel {
    use super::*;

    #[tokio::test]
    async fn after_a_failover_the_next_connection_is_to_the_new_master() {
        let master = Process::start("--repl-diskless-sync-delay 0");
        drop(master.redis().await);
        let replica = Process::replica(&master);
        eventually("a replica that follows", async || {
            replica.say::<String>("INFO replication").await.contains("master_link_status:up")
        })
        .await;
        let sentinel = Process::sentinel(&master, &["sentinel failover-timeout mymaster 5000"]);
        drop(sentinel.redis().await);
        let url = format!("redis+sentinel://127.0.0.1:{},{}/mymaster", free_port(), sentinel.host());
        let connector = Connector::new(&url).unwrap();
        connector.check().await.unwrap();
        let held = connector.at("jobs");
        let (mut before, since) = held.blocking().await.unwrap();
        assert_eq!(port(&mut before).await, master.port);
        held.assure().await;
        assert!(held.is_current(since));

        eventually("the failover begins", async || sentinel.try_say::<()>("SENTINEL FAILOVER mymaster").await.is_ok())
            .await;
        eventually("a connection to the new master", async || {
            match connector.blocking().await.map(|(connection, _)| connection) {
                Ok(mut connection) => port(&mut connection).await == replica.port,
                Err(_) => false,
            }
        })
        .await;
        let mut connection = connector.shared().await.unwrap();
        cmd("SET").arg("x").arg(1).exec_async(&mut connection).await.unwrap();
        // The old master may not know for a while; after a silence the connection to it is not trusted any more.
        tokio::time::sleep(SILENCE + Duration::from_millis(100)).await;
        assert!(!held.is_answered_by(since, Instant::now() - SILENCE * 2, Duration::ZERO).await);
        let (_connection, since) = held.shared_since().await.unwrap();
        assert!(held.is_answered_by(since, Instant::now(), Duration::ZERO).await);
        assert!(!sentinel.log().is_empty());
    }

    #[tokio::test]
    async fn a_master_that_the_sentinel_still_names_but_that_is_none_is_not_used() {
        let master = Process::start("");
        drop(master.redis().await);
        let sentinel = Process::sentinel(&master, &["sentinel down-after-milliseconds mymaster 60000"]);
        drop(sentinel.redis().await);
        let () = master.say("REPLICAOF 127.0.0.1 1").await;
        let connector = Connector::new(&format!("redis+sentinel://{}/mymaster", sentinel.host())).unwrap();
        let error = connector.shared().await.unwrap_err();
        assert_eq!(Trouble::of(&error), Trouble::Replica, "{error}");
    }

    #[tokio::test]
    async fn sentinels_have_a_password_of_their_own() {
        let master = Process::start("--requirepass for-redis");
        let options = ["requirepass for-sentinel", "sentinel auth-pass mymaster for-redis"];
        let sentinel = Process::sentinel(&master, &options);
        let url = format!("redis+sentinel://:for-redis@{}/mymaster", sentinel.host());
        let sentinel_password = Some("for-sentinel".to_owned());
        let connector = Connector::with(&Access { url: url.clone(), sentinel_password, ..Access::default() }).unwrap();
        eventually("the master is found", async || connector.check().await.is_ok()).await;
        let error = text(&refused(&Connector::new(&url).unwrap()).await);
        assert!(error.contains("NOAUTH") && error.contains("`sentinel_password`"), "{error}");
        assert!(!error.contains("for-redis"), "{error}");
    }

    #[tokio::test]
    async fn a_name_that_no_sentinel_knows_is_told() {
        let master = Process::start("");
        let sentinel = Process::sentinel(&master, &[]);
        drop(sentinel.redis().await);
        let connector = Connector::new(&format!("redis+sentinel://{}/other", sentinel.host())).unwrap();
        let error = refused(&connector).await;
        assert!(matches!(error, Error::Unusable { .. }), "{}", text(&error));
        assert!(text(&error).contains("`other`") && text(&error).contains("SENTINEL MASTERS"), "{}", text(&error));
    }
}

mod cluster {
    use super::*;

    /// Keys in the first, the second and the last third of the slots.
    const KEYS: [&str; 3] = ["bar", "c", "foo"];

    #[tokio::test]
    async fn each_key_leads_to_its_server_also_after_its_slot_has_moved() {
        let cluster = Cluster::start().await;
        let url = format!("redis+cluster://127.0.0.1:{},{}", free_port(), cluster.0[0].host());
        let connector = Connector::new(&url).unwrap();
        connector.check().await.unwrap();
        for (key, server) in KEYS.iter().zip(&cluster.0) {
            let mut connection = connector.at(key).shared().await.unwrap();
            assert_eq!(port(&mut connection).await, server.port, "{key}");
            cmd("SET").arg(format!("gristmill:{{{key}}}:x")).arg(1).exec_async(&mut connection).await.unwrap();
        }

        let held = connector.at("elsewhere");
        let slot = crate::slot::of("elsewhere");
        let mut before = held.shared().await.unwrap();
        let old = port(&mut before).await;
        let to = cluster.0.iter().find(|server| server.port != old).unwrap();
        cluster.move_slot(slot, to).await;
        let moved = cmd("SET").arg("elsewhere").arg(1).exec_async(&mut before).await.unwrap_err();
        assert!(held.is_lost(&moved), "{moved}");
        assert_eq!(port(&mut held.blocking().await.unwrap().0).await, to.port);
    }

    #[tokio::test]
    async fn a_slot_on_its_way_is_waited_for_on_the_same_connection() {
        let cluster = Cluster::start().await;
        let (first, last) = (&cluster.0[0], &cluster.0[2]);
        let slot = crate::slot::of("{foo}");
        let [from, to]: [String; 2] = [last.say("CLUSTER MYID").await, first.say("CLUSTER MYID").await];
        let connector = Connector::new(&format!("redis+cluster://{}", first.host())).unwrap().at("{foo}");
        let mut connection = connector.shared().await.unwrap();
        cmd("SET").arg("{foo}:here").arg(1).exec_async(&mut connection).await.unwrap();
        let () = first.say(&format!("CLUSTER SETSLOT {slot} IMPORTING {from}")).await;
        let () = last.say(&format!("CLUSTER SETSLOT {slot} MIGRATING {to}")).await;
        for keys in [&["{foo}:gone"][..], &["{foo}:here", "{foo}:gone"]] {
            let error = cmd("UNLINK").arg(keys).exec_async(&mut connection).await.unwrap_err();
            assert_eq!(Trouble::of(&error), Trouble::Migrating, "{error}");
            assert!(!connector.is_lost(&error));
        }
    }

    #[tokio::test]
    async fn servers_seen_once_lead_on_when_the_configured_ones_are_gone() {
        let mut cluster = Cluster::start().await;
        let connector = Connector::new(&format!("redis+cluster://{}", cluster.0[0].host())).unwrap();
        let third = connector.at(KEYS[2]);
        assert_eq!(port(&mut third.shared().await.unwrap()).await, cluster.0[2].port);
        let () = cluster.0[1].say("CONFIG SET cluster-require-full-coverage no").await;
        let () = cluster.0[2].say("CONFIG SET cluster-require-full-coverage no").await;
        drop(cluster.0.remove(0));
        let mut connection = third.shared().await.unwrap();
        assert_eq!(port(&mut connection).await, cluster.0[1].port);
        assert!(connector.at(KEYS[0]).shared().await.is_err());
    }

    #[tokio::test]
    async fn when_all_are_down_all_are_named() {
        let hosts: Vec<String> = (0..3).map(|_| format!("127.0.0.1:{}", free_port())).collect();
        for url in [
            format!("redis+cluster://:pw0rd@{}", hosts.join(",")),
            format!("redis+sentinel://:pw0rd@{}/m", hosts.join(",")),
        ] {
            let error = refused(&Connector::new(&url).unwrap()).await;
            assert!(matches!(error, Error::Unreachable { .. }), "{}", text(&error));
            let Error::Unreachable { cause, .. } = &error else { return };
            assert!(hosts.iter().all(|host| cause.to_string().contains(host)), "{cause}");
            assert!(!format!("{} {error:?}", text(&error)).contains("pw0rd"));
        }
    }

    #[tokio::test]
    async fn a_black_hole_among_the_seeds_costs_its_time_once() {
        let cluster = Cluster::start().await;
        // Takes connections and never says a word.
        let hole = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis+cluster://{},{}", hole.local_addr().unwrap(), cluster.hosts());
        let connector = Connector::new(&url).unwrap().at("foo");
        drop(connector.shared().await.unwrap());
        let again = tokio::time::timeout(Duration::from_secs(1), connector.shared()).await;
        assert!(again.is_ok_and(|connection| connection.is_ok()));
    }

    #[tokio::test]
    async fn an_address_of_the_wrong_kind_is_told() {
        let single = Process::start("");
        drop(single.redis().await);
        let error = refused(&Connector::new(&format!("redis+cluster://{}", single.host())).unwrap()).await;
        assert!(text(&error).contains("write `redis://`"), "{}", text(&error));

        let cluster = Cluster::start().await;
        let connector = Connector::new(&cluster.0[0].url()).unwrap();
        let mut connection = connector.shared().await.unwrap();
        let error = cmd("SET").arg("foo").arg(1).exec_async(&mut connection).await.unwrap_err();
        assert!(connector.advice(&error, "foo").contains("redis+cluster://"), "{error}");
    }
}
