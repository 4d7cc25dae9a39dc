//! Secrets: where they go, and where they do not.

use super::*;
use crate::config::Secrets;

const TOKEN: &str = "hunter2/x?y=z";

fn secrets() -> Secrets {
    Secrets::new([("token".to_owned(), TOKEN.to_owned()), ("broken".to_owned(), "a\r\nb: c#".to_owned())])
}

/// What stands for the secret `name` in a plugin.
fn stand_in(name: &str) -> String {
    secrets().stand_in(name).unwrap().to_owned()
}

fn allowance(allow_http: Vec<HttpGrant>) -> Allowance {
    Allowance::new(&config::Plugin { secrets: secrets(), ..settings(allow_http) })
}

async fn reply_to(request: HttpRequest) -> Result<HttpReply, Failure> {
    carry_out(&Effects::new().unwrap(), &allowance(vec![exact("127.0.0.1")]), request).await
}

#[tokio::test]
async fn a_secret_stands_in_path_query_and_headers_of_what_is_sent() {
    let server = Server::answering(OK).await;
    let token = stand_in("token");
    let wanted = HttpRequest {
        headers: vec![("authorization".into(), format!("Bearer {token}"))],
        ..request("GET", &server.url(&format!("/a/{token}&b={token}")))
    };
    reply_to(wanted).await.unwrap();
    let heard = server.heard().concat();
    assert!(heard.starts_with("GET /a/hunter2/x?y=z&b=hunter2/x?y=z HTTP/1.1\r\n"), "{heard}");
    assert!(heard.contains("\r\nauthorization: Bearer hunter2/x?y=z\r\n"), "{heard}");
    assert!(!heard.contains(&token), "{heard}");
}

#[tokio::test]
async fn a_body_is_filled_only_where_the_plugin_says_that_it_is_a_template() {
    let server = Server::answering(OK).await;
    let token = stand_in("token");
    for (template, expected) in [(true, "a=hunter2/x?y=z"), (false, &*format!("a={token}"))] {
        let body = Bytes::from(format!("a={token}"));
        reply_to(HttpRequest { body, template, ..request("POST", &server.url("/")) }).await.unwrap();
        let heard = server.heard().concat();
        assert!(heard.ends_with(&format!("content-length: {}\r\n\r\n{expected}", expected.len())), "{heard}");
    }
}

#[tokio::test]
async fn a_message_cannot_pull_a_secret_by_its_name() {
    let server = Server::answering(OK).await;
    let text = "${secret:token} secret-token secret-00000000000000000000000000000000";
    let wanted = HttpRequest {
        headers: vec![("x-topic".into(), text.into())],
        body: text.into(),
        template: true,
        ..request("POST", &server.url("/$%7Bsecret:token%7D"))
    };
    reply_to(wanted).await.unwrap();
    let heard = server.heard().concat();
    assert!(heard.contains(&format!("x-topic: {text}\r\n")) && heard.ends_with(text), "{heard}");
    assert!(!heard.contains("hunter2"), "{heard}");
}

#[tokio::test]
async fn a_secret_never_says_where_a_request_goes() {
    let token = stand_in("token");
    let allowed = allowance(vec![any(), below(".example.com")]);
    for url in
        [format!("http://{token}/"), format!("http://{token}.example.invalid/"), format!("http://a:{token}@b.org/")]
    {
        let failure = carry_out(&Effects::new().unwrap(), &allowed, request("GET", &url)).await.unwrap_err();
        assert!(!failure.to_string().contains("hunter2"), "{failure}");
        assert!(!failure.to_string().contains(&token), "{failure}");
    }
}

#[tokio::test]
async fn nothing_is_sent_to_a_host_that_was_not_granted() {
    let server = Server::answering(OK).await;
    let allowed = allowance(vec![exact("10.0.0.7")]);
    let wanted = request("GET", &server.url(&format!("/{}", stand_in("token"))));
    let failure = carry_out(&Effects::new().unwrap(), &allowed, wanted).await.unwrap_err();
    assert!(matches!(failure, Failure::Denied(_)), "{failure}");
    assert!(failure.to_string().contains("/${secret:token}: `allow_http` does not name"), "{failure}");
    assert!(server.heard().is_empty());
}

#[tokio::test]
async fn failures_name_a_secret_instead_of_showing_it() {
    let silent = Server::start(|mut peer| async move {
        peer.request().await;
    })
    .await;
    let broken =
        HttpRequest { headers: vec![("x-token".into(), stand_in("broken"))], ..request("GET", &silent.url("/")) };
    let unfit = request("GET", &silent.url(&format!("/{}", stand_in("broken"))));
    let cut = request("GET", &silent.url(&format!("/{}", stand_in("token"))));
    for (wanted, words) in [
        (broken, "the value of the header `x-token` cannot be sent"),
        (unfit, "/${secret:broken}: a secret in it cannot stand in a URL"),
        (cut, "/${secret:token}: the connection was closed"),
    ] {
        let failure = reply_to(wanted).await.unwrap_err().to_string();
        assert!(failure.contains(words), "{failure}");
        assert!(!failure.contains("hunter2") && !failure.contains("secret-") && !failure.contains("a\r"), "{failure}");
    }
}

#[tokio::test]
async fn a_redirect_that_repeats_a_secret_is_handed_back_without_it_and_not_followed() {
    let server = Server::answering(
        "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/?t=hunter2/x?y=z\r\ncontent-length: 17\r\n\r\n hunter2/x?y=z ok",
    )
    .await;
    let wanted = request("GET", &server.url(&format!("/?t={}", stand_in("token"))));
    let reply = reply_to(wanted).await.unwrap();
    assert_eq!((reply.status, &*reply.body), (302, &b" ${secret:token} ok"[..]));
    let location = reply.headers.iter().find(|(name, _)| name == "location").unwrap();
    assert_eq!(location.1, "http://169.254.169.254/?t=${secret:token}");
    assert_eq!(server.heard().len(), 1);
    // As it came, it is the next request of a plugin that follows it: to an address that was not granted, and without the secret.
    let failure = reply_to(request("GET", &location.1)).await.unwrap_err();
    assert!(!failure.to_string().contains("hunter2"), "{failure}");
}
