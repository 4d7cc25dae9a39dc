//! Asks a running node.

use super::{ConfigFile, talk};
use crate::{
    admin::Tokens,
    config::{self, Listen},
};
use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, StatusCode,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header,
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::{path::PathBuf, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    task::JoinHandle,
};

/// For the answer to a question.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// For an order, which may have to wait for what is in flight: longer than any sensible `shutdown.grace`.
pub(super) const LONG_PATIENCE: Duration = Duration::from_secs(3_600);
/// Bytes of an answer.
const LONGEST: usize = 256 << 20;

/// Which node is asked.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    #[command(flatten)]
    file: ConfigFile,
    /// Ask the node at this address or socket instead of the one that runs with this configuration
    #[arg(long, value_name = "ADDRESS")]
    at: Option<String>,
    /// A file with a token for it, as `[admin] tokens` has them
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
}

/// A node that can be asked.
#[derive(Debug)]
pub(super) struct Client {
    listen: Listen,
    token: Option<String>,
}

impl Which {
    /// The node that is meant; whether it is there shows when it is asked.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        let (listen, tokens) = match &self.at {
            Some(at) => {
                let unknown =
                    || format!("`{at}` is neither an address, such as `127.0.0.1:9464`, nor the path of a socket");
                (config::listen(at).with_context(unknown)?, None)
            }
            None => self.configured()?,
        };
        let tokens = self.tokens.clone().or(tokens).filter(|_| matches!(listen, Listen::Address(_)));
        let unusable = |path: &PathBuf| format!("`{}` cannot be used for a token", path.display());
        let token = tokens.map(|path| Tokens::best(&path).with_context(|| unusable(&path))).transpose()?;
        Ok(Client { listen, token })
    }

    fn configured(&self) -> anyhow::Result<(Listen, Option<PathBuf>)> {
        let admin = talk::load(&self.file.path)?.config.admin;
        match admin.listen {
            Some(listen) => Ok((listen, admin.tokens)),
            None => bail!("`[admin] listen` is empty, so that nobody can look at this node"),
        }
    }
}

impl Client {
    /// What is at `path`, as it comes.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Bytes> {
        self.send(Method::GET, path, Bytes::new(), PATIENCE).await
    }

    /// The answer to a request, if it says that it was done.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        patience: Duration,
    ) -> anyhow::Result<Bytes> {
        let exchange = async {
            let (status, body) = self.exchange(method, path, body).await?;
            let body = Limited::new(body, LONGEST).collect().await.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
            self.judge(status, &body)?;
            anyhow::Ok(body)
        };
        let answered = tokio::time::timeout(patience, exchange).await;
        answered.with_context(|| format!("`{}` did not answer within {patience:?}", self.listen))?
    }

    /// The beginning of an answer.
    pub(super) async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> anyhow::Result<(StatusCode, Incoming)> {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, self.host());
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let (mut sender, connection) = self.connect().await?;
        let response = sender.send_request(request.body(Full::new(body))?).await;
        let response = response.with_context(|| format!("`{}` did not answer", self.listen))?;
        // It goes on until the body has been read; then both are at their end.
        drop(connection);
        Ok((response.status(), response.into_body()))
    }

    /// The address of the node's dashboard, for a browser, with the token.
    pub(super) fn page(&self) -> anyhow::Result<String> {
        match (&self.listen, &self.token) {
            (Listen::Socket(path), _) => bail!(
                "browsers cannot open a socket such as `{}`; write `listen = \"127.0.0.1:9464\"` and `tokens = \"admin.tokens\"` into [admin]",
                path.display()
            ),
            (Listen::Address(address), None) => Ok(format!("http://{address}/")),
            (Listen::Address(address), Some(token)) => Ok(format!("http://{address}/#token={token}")),
        }
    }

    /// What is wrong, in the node's own words.
    pub(super) fn judge(&self, status: StatusCode, body: &[u8]) -> anyhow::Result<()> {
        if status.is_success() {
            return Ok(());
        }
        let told: Option<serde_json::Value> = serde_json::from_slice(body).ok();
        match told.as_ref().and_then(|told| told["error"].as_str()) {
            Some(error) => bail!("{error}"),
            None => bail!("the node answered {status}; is it one of another version?"),
        }
    }

    /// What an answer says.
    pub(super) fn parse<T: DeserializeOwned>(&self, answer: &[u8]) -> anyhow::Result<T> {
        serde_json::from_slice(answer).with_context(|| {
            format!("cannot make sense of what `{}` answered; is it a node of another version?", self.listen)
        })
    }

    fn host(&self) -> String {
        match &self.listen {
            Listen::Socket(_) => "gristmill".to_owned(),
            Listen::Address(address) => address.to_string(),
        }
    }

    async fn connect(&self) -> anyhow::Result<(SendRequest<Full<Bytes>>, JoinHandle<()>)> {
        let listen = &self.listen;
        let missing = || format!("no node answers at `{listen}`; is one running with this configuration?");
        match listen {
            Listen::Socket(path) => shake(UnixStream::connect(path).await.with_context(missing)?).await,
            Listen::Address(address) => shake(TcpStream::connect(address).await.with_context(missing)?).await,
        }
    }
}

async fn shake(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> anyhow::Result<(SendRequest<Full<Bytes>>, JoinHandle<()>)> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    #[expect(clippy::disallowed_methods, reason = "a verb ends with its answer, and this with the verb")]
    let connection = tokio::spawn(async move { drop(connection.await) });
    Ok((sender, connection))
}
