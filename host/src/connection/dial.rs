//! One connection to one server: sockets, TLS, and who we are.

use super::files::{FileFault, Files, Identity, Pem};
use crate::config::Tls;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo, ProtocolVersion,
    RedisConnectionInfo, RedisError, TlsCertificates,
    aio::{AsyncPushSender, MultiplexedConnection},
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use rustls::crypto::{CryptoProvider, ring};
use std::{
    fmt::{self, Debug},
    io,
    sync::Arc,
    time::Duration,
};

/// Who we are to a server.
#[derive(Clone, Default)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) db: i64,
}

/// How a connection is to be.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    /// Is handed what is published, in RESP3.
    pub(super) listener: Option<Listener>,
    /// How long it may take until the connection can be used.
    pub(super) connect: Duration,
    /// How long each answer may take; without end for commands that block.
    pub(super) answer: Option<Duration>,
}

/// Whoever hears what is published; must not block.
#[derive(Clone)]
pub(super) struct Listener(pub(super) Arc<dyn AsyncPushSender>);

impl Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

/// A connection to `server` that it lets in.
pub(super) async fn open(
    server: &ConnectionAddr,
    login: &Login,
    tls: &Tls,
    manner: Manner,
) -> Result<MultiplexedConnection, RedisError> {
    let connect = manner.connect;
    let opened = async {
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(manner.answer);
        let Some(Listener(listener)) = manner.listener else {
            let client = client(server, tls, RedisConnectionInfo::default())?;
            let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
            login.present(&mut connection).await?;
            return Ok(connection);
        };
        let config = config.set_push_sender(move |push| listener.send(push));
        // RESP3 begins with the login.
        let settings = login.settings().set_protocol(ProtocolVersion::RESP3);
        client(server, tls, settings)?.get_multiplexed_async_connection_with_config(&config).await
    };
    let silent = |_| Err(io::Error::from(io::ErrorKind::TimedOut).into());
    tokio::time::timeout(connect, opened).await.unwrap_or_else(silent)
}

fn client(server: &ConnectionAddr, tls: &Tls, settings: RedisConnectionInfo) -> Result<Client, RedisError> {
    let info = server.clone().into_connection_info()?.set_tcp_settings(tcp()).set_redis_settings(settings);
    if !matches!(server, ConnectionAddr::TcpTls { .. }) {
        return Client::open(info);
    }
    if CryptoProvider::get_default().is_none() {
        // Somebody else may be quicker, which serves as well.
        let _installed = ring::default_provider().install_default().is_ok();
    }
    Client::build_with_tls(info, certificates(tls).map_err(io::Error::other)?)
}

/// A peer that is gone without a word is noticed within 25 seconds, also while nothing is sent.
fn tcp() -> TcpSettings {
    let probes =
        TcpKeepalive::new().with_time(Duration::from_secs(10)).with_interval(Duration::from_secs(5)).with_retries(3);
    TcpSettings::default().set_nodelay(true).set_keepalive(probes).set_user_timeout(Duration::from_secs(20))
}

impl Login {
    fn settings(&self) -> RedisConnectionInfo {
        let mut settings = RedisConnectionInfo::default().set_db(self.db);
        if let Some(user) = &self.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        settings
    }

    /// The client library would do the same, but keeps the server's reason for a refusal to itself.
    async fn present(&self, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
        if let Some(password) = &self.password {
            let mut auth = redis::cmd("AUTH");
            auth.arg(&self.user).arg(password).exec_async(connection).await?;
        }
        if self.db != 0 {
            redis::cmd("SELECT").arg(self.db).exec_async(connection).await?;
        }
        Ok(())
    }
}

impl Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = self.password.as_ref().map(|_| "…");
        f.debug_struct("Login").field("user", &self.user).field("password", &password).field("db", &self.db).finish()
    }
}

/// The files as the client library takes them.
fn certificates(tls: &Tls) -> Result<TlsCertificates, FileFault> {
    let Pem { ca, identity } = Files::read(tls)?.pem;
    let client_tls = identity.map(|Identity { cert, key }| ClientTlsConfig { client_cert: cert, client_key: key });
    Ok(TlsCertificates { client_tls, root_cert: ca })
}
