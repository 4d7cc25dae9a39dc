//! Which path answers what, and to whom.

use super::{
    Refused, Wanted, Window,
    access::{Denied, Role, Way},
    dashboard,
    health::Health,
    letters::Asked,
    metrics, nodes, query,
    reply::{Problem, Reply, TEXT, json, problem, whole},
    status::{Absent, EndpointStatus, PipelineStatus, Status, plugins},
};
use crate::{event, metrics::CONTENT_TYPE};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::json as value;
use std::{sync::Arc, time::Duration};

/// The longest body that is taken: an edited message.
const LONGEST: usize = 16 << 20;
/// For all of it to come.
const PATIENCE: Duration = Duration::from_secs(30);
/// The description of all this.
const OPENAPI: &str = include_str!("openapi.json");

/// One thing that can be asked.
pub(super) struct Route {
    pub(super) method: Method,
    /// Braces stand for one part of a path.
    pub(super) path: &'static str,
    /// Who may at least.
    pub(super) role: Role,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Live,
    Ready,
    Metrics,
    Status,
    OpenApi,
    Pipelines,
    Pause,
    Resume,
    Plugins,
    Endpoints,
    Nodes,
    Letters,
    Letter,
    Replay,
    Drop,
    Reload,
    Drain,
    Tap,
    Whoami,
    Page,
    File,
}

const fn route(method: Method, path: &'static str, role: Role, what: What) -> Route {
    Route { method, path, role, what }
}

/// All of them.
pub(super) static ROUTES: [Route; 21] = [
    route(Method::GET, "/", Role::Nobody, What::Page),
    route(Method::GET, "/dashboard/{file}", Role::Nobody, What::File),
    route(Method::GET, "/health/live", Role::Nobody, What::Live),
    route(Method::GET, "/health/ready", Role::Nobody, What::Ready),
    route(Method::GET, "/openapi.json", Role::Nobody, What::OpenApi),
    route(Method::GET, "/metrics", Role::Look, What::Metrics),
    route(Method::GET, "/status", Role::Look, What::Status),
    route(Method::GET, "/api/pipelines", Role::Look, What::Pipelines),
    route(Method::POST, "/api/pipelines/{pipeline}/pause", Role::Full, What::Pause),
    route(Method::POST, "/api/pipelines/{pipeline}/resume", Role::Full, What::Resume),
    route(Method::GET, "/api/plugins", Role::Look, What::Plugins),
    route(Method::GET, "/api/endpoints", Role::Look, What::Endpoints),
    route(Method::GET, "/api/nodes", Role::Look, What::Nodes),
    route(Method::GET, "/api/dead", Role::Read, What::Letters),
    route(Method::GET, "/api/dead/{entry}", Role::Read, What::Letter),
    route(Method::DELETE, "/api/dead/{entry}", Role::Full, What::Drop),
    route(Method::POST, "/api/dead/{entry}/replay", Role::Full, What::Replay),
    route(Method::GET, "/api/tap", Role::Read, What::Tap),
    route(Method::GET, "/api/whoami", Role::Nobody, What::Whoami),
    route(Method::POST, "/api/reload", Role::Full, What::Reload),
    route(Method::POST, "/api/drain", Role::Full, What::Drain),
];

/// The answer to a request that came this way.
pub(super) async fn answer(window: Arc<Window>, way: Way, request: Request<Incoming>) -> Reply {
    let (route, part) = match find(request.method(), request.uri().path()) {
        Ok(found) => found,
        Err(others) if others.is_empty() => {
            let error = "there is nothing here; /openapi.json says what there is";
            return problem(StatusCode::NOT_FOUND, error).reply();
        }
        Err(others) => return wrong_method(&others),
    };
    let role = match window.access.admit(way, request.headers(), route.role) {
        Ok(role) => role,
        Err(denied) => return turned_away(denied),
    };
    let query = query::pairs(request.uri().query());
    let body = match route.what {
        What::Replay => match body(request).await {
            Ok(body) => body,
            Err(problem) => return problem.reply(),
        },
        _ => Bytes::new(),
    };
    let asked = Asked { window: &window, role, query };
    asked.answer(route.what, part, &body).await.unwrap_or_else(|problem| problem.reply())
}

/// What is asked, and what stands in the path where the route has braces; or what may be done there instead.
fn find(method: &Method, path: &str) -> Result<(&'static Route, String), Vec<&'static Method>> {
    let asked = if method == Method::HEAD { &Method::GET } else { method };
    let mut others = Vec::new();
    for route in &ROUTES {
        let Some(parts) = query::captured(route.path, path) else { continue };
        if route.method == *asked {
            return Ok((route, parts.into_iter().next().unwrap_or_default()));
        }
        others.push(&route.method);
    }
    Err(others)
}

impl Asked<'_> {
    async fn answer(self, what: What, part: String, body: &[u8]) -> Result<Reply, Problem> {
        let window = self.window;
        Ok(match what {
            What::Live => whole(StatusCode::OK, TEXT, "live\n"),
            What::Ready => ready(window).await,
            What::OpenApi => whole(StatusCode::OK, "application/json", OPENAPI),
            What::Metrics => whole(StatusCode::OK, CONTENT_TYPE, metrics::exposition(window)),
            What::Status => json(StatusCode::OK, &Status::of(window)),
            What::Pipelines => {
                let pipelines: Vec<_> = window.pipelines().into_iter().map(PipelineStatus::of).collect();
                json(StatusCode::OK, &pipelines)
            }
            What::Plugins => {
                let absent = Absent::all(&window.plugins);
                json(StatusCode::OK, &value!({ "plugins": plugins(&window.plugins), "without_version": absent }))
            }
            What::Endpoints => {
                let endpoints: Vec<_> = window.effects.endpoints().into_iter().map(EndpointStatus::of).collect();
                json(StatusCode::OK, &endpoints)
            }
            What::Nodes => nodes::list(window).await?,
            What::Letters => self.list().await?,
            What::Letter => self.show(&part).await?,
            What::Replay => self.replay(&part, body).await?,
            What::Drop => self.drop(&part).await?,
            What::Pause => obey(window, Wanted::Pause(part)).await,
            What::Resume => obey(window, Wanted::Resume(part)).await,
            What::Reload => obey(window, Wanted::Reload).await,
            What::Drain => drain(window),
            What::Tap => self.tap()?,
            What::Whoami => json(StatusCode::OK, &value!({ "role": self.role.name(), "asks": window.access.asks() })),
            What::Page => file("")?,
            What::File => file(&part)?,
        })
    }
}

fn file(name: &str) -> Result<Reply, Problem> {
    dashboard::file(name).ok_or_else(|| problem(StatusCode::NOT_FOUND, "the dashboard has no such file"))
}

async fn ready(window: &Window) -> Reply {
    let health = Health::of(window).await;
    json(if health.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &health)
}

/// Waits until it is done, and shows how the pipelines are then.
async fn obey(window: &Window, wanted: Wanted) -> Reply {
    match window.desk.order(wanted).await {
        Ok(()) => {
            let pipelines: Vec<_> = window.pipelines().into_iter().map(PipelineStatus::of).collect();
            json(StatusCode::OK, &pipelines)
        }
        Err(refused) => {
            let status = match refused {
                Refused::NoPipeline(_) => StatusCode::NOT_FOUND,
                Refused::Config(_) => StatusCode::UNPROCESSABLE_ENTITY,
                Refused::Ending | Refused::Busy => StatusCode::SERVICE_UNAVAILABLE,
            };
            problem(status, &refused.to_string()).reply()
        }
    }
}

/// As SIGTERM does it. What is in flight has its time, and this answer too.
fn drain(window: &Window) -> Reply {
    event::drain_wanted();
    window.quiet.cancel();
    json(StatusCode::ACCEPTED, &value!({ "ending": true }))
}

async fn body(request: Request<Incoming>) -> Result<Bytes, Problem> {
    let whole = tokio::time::timeout(PATIENCE, Limited::new(request.into_body(), LONGEST).collect()).await;
    match whole {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(problem(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body is longer than {LONGEST} bytes")))
        }
        Ok(Err(_)) => Err(problem(StatusCode::BAD_REQUEST, "the body does not come whole")),
        Err(_) => Err(problem(StatusCode::REQUEST_TIMEOUT, "the body does not come in time")),
    }
}

fn wrong_method(methods: &[&Method]) -> Reply {
    let names = methods.iter().map(|&method| if method == Method::GET { "GET, HEAD" } else { method.as_str() });
    let names = names.collect::<Vec<_>>().join(", ");
    let mut refused = problem(StatusCode::METHOD_NOT_ALLOWED, &format!("this takes {names}")).reply();
    if let Ok(allowed) = HeaderValue::from_str(&names) {
        refused.headers_mut().insert(header::ALLOW, allowed);
    }
    refused
}

fn turned_away(denied: Denied) -> Reply {
    let (status, error) = match denied {
        Denied::Foreign => (
            StatusCode::FORBIDDEN,
            "this was asked by another page, or under a name that is not this machine's; use its address, or `[admin] tokens`",
        ),
        Denied::Unknown => (StatusCode::UNAUTHORIZED, "this needs a token: `authorization: Bearer TOKEN`"),
        Denied::Role => (StatusCode::FORBIDDEN, "this token only reads"),
        Denied::NoTokens => (
            StatusCode::FORBIDDEN,
            "without a token one only looks, and there are none: set `[admin] tokens`, or use the socket",
        ),
        Denied::Often(_) => (StatusCode::TOO_MANY_REQUESTS, "this was asked too often"),
    };
    let mut reply = problem(status, error).reply();
    match denied {
        Denied::Unknown => {
            reply.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Denied::Often(wait) => {
            reply.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
        }
        _ => {}
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeMap;

    /// Every operation, and the role that it needs.
    type Operations = BTreeMap<(String, String), String>;

    fn described() -> Operations {
        let document: Value = serde_json::from_str(OPENAPI).expect("JSON");
        let paths = document["paths"].as_object().expect("paths");
        let operations = paths.iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().expect("methods").iter();
            methods.map(|(method, operation)| {
                let role = operation["security"][0]["token"][0].as_str().unwrap_or("nobody");
                ((path.clone(), method.to_uppercase()), role.to_owned())
            })
        });
        operations.collect()
    }

    #[test]
    fn the_openapi_file_says_what_there_is_and_who_may() {
        let operation =
            |route: &Route| ((route.path.to_owned(), route.method.to_string()), route.role.name().to_owned());
        let api = ROUTES.iter().filter(|route| !matches!(route.what, What::Page | What::File));
        assert_eq!(described(), api.map(operation).collect::<Operations>());
    }

    #[test]
    fn what_changes_anything_is_no_look() {
        for route in &ROUTES {
            assert!(route.method == Method::GET || route.role == Role::Full, "{} {}", route.method, route.path);
        }
    }
}
