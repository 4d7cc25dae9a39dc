//! The dashboard in a real browser, with mouse and keyboard.

use super::{
    caller::{Caller, FULL, READ},
    mill,
};
use crate::jobs::{SOON, all_arrive, jobs, number};
use gristmill_tests::{Answer, Browser, Mill, built, eventually};

/// The page of the node of this mill, for whoever has this token.
fn opened(mill: &Mill, token: &str) -> Option<Browser> {
    let mut browser = Browser::start()?;
    browser.open(&format!("http://{}/#token={token}", Caller::of(mill).address()));
    browser.sees("Pipelines");
    Some(browser)
}

/// Where pictures for the README come to lie; it has copies of some.
fn picture(browser: &mut Browser, name: &str) {
    let dir = built::target_dir().join("pictures");
    std::fs::create_dir_all(&dir).unwrap();
    browser.picture(&dir.join(format!("{name}.png")));
}

fn complains_of_nothing(browser: &mut Browser) {
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_pipeline_is_paused_and_takes_again_at_a_click() {
    let mill = mill("");
    let _node = mill.node();
    let Some(mut browser) = opened(&mill, FULL) else { return };
    assert_eq!(browser.eval("location.hash"), "#pipelines", "the token does not stay in the address");
    browser.click("button", "Pause");
    browser.sees("paused");
    mill.redis.push("jobs", jobs(0..30));
    browser.click("button", "Resume");
    assert_eq!(all_arrive(&mill.sink, 0..30), 0);
    browser.sees("running");
    browser.sees("30\n");
    complains_of_nothing(&mut browser);
}

#[test]
fn a_dead_letter_is_found_edited_and_replayed_at_a_few_clicks() {
    let mill = mill("");
    mill.sink.answer(Answer::Status(422));
    let _node = mill.node();
    mill.redis.push("jobs", jobs(1..4));
    let Some(mut browser) = opened(&mill, FULL) else { return };
    eventually(SOON, "they are dead", || {
        let found = Caller::of(&mill).with(FULL).get("/api/dead").json();
        (found["letters"].as_array().unwrap().len() == 3).then_some(())
    });
    browser.click("nav a", "Dead letters");
    browser.sees("3 of 3");
    browser.press("/");
    eventually(SOON, "the search has the focus", || {
        (browser.eval("document.activeElement.id") == "search").then_some(())
    });
    browser.write("job 2");
    browser.sees("1 of 3");
    mill.sink.answer(Answer::Status(200));
    mill.sink.forget();
    browser.click(".letter", "422");
    let payload = "document.querySelector('#payload')?.value ?? ''";
    let shown = || browser.eval(payload).as_str()?.contains("203.0.113.7").then_some(());
    eventually(SOON, "the payload can be edited", shown);
    picture(&mut browser, "letter");
    browser.eval("document.querySelector('#payload').select()");
    browser.write("{\"id\":77}");
    browser.click("dialog button", "Replay edited");
    browser.sees("Replayed through jobs");
    let arrived = eventually(SOON, "it arrives", || mill.sink.received().first().map(number));
    assert_eq!(arrived, 77);
    browser.sees("Nothing fits");
    complains_of_nothing(&mut browser);
}

/// Three pipelines, of which one forks and one is paused.
fn shop() -> Mill {
    let listen = format!("127.0.0.1:{}", gristmill_tests::redis::free_port());
    let config = format!(
        r#"
[pipeline.orders]
from = {{ list = "orders" }}
filters = ["stamp", "anonymize"]
publish = ["http", "archive"]
rate = "50/s"

[pipeline.newsletter]
from = {{ list = ["newsletter", "reminders"] }}
publish = ["http"]

[plugin.anonymize]
config = {{ drop = ["ip"] }}
[plugin.http]
config = {{ url = "$SINK/hooks/{{topic}}", method = "POST" }}
allow_http = ["$AUTHORITY"]
[plugin.archive]
file = "redis.wasm"
config = {{ stream = "archive", keep = 100 }}
allow_redis = ["XADD archive"]

[admin]
listen = "{listen}"
tokens = "tokens"
"#
    );
    let mill = Mill::new().guests(&["stamp"]).plugins(&["anonymize", "http", "redis"]).config(&config);
    std::fs::write(mill.dir().join("tokens"), format!("full {FULL}\n")).unwrap();
    mill
}

#[test]
fn it_draws_the_way_of_messages_with_what_waits_and_how_many_pass() {
    let mill = shop();
    let _node = mill.node();
    let Some(mut browser) = opened(&mill, FULL) else { return };
    browser.screen(1180, 640, false);
    assert_eq!(mill.run(&["pause", "newsletter"]).code, 0);
    mill.redis.push("orders", jobs(0..5_000));
    browser.sees("paused for");
    // A list's length is looked at every five seconds, and rates come with the second look.
    for drawn in [".flows", ".fork path", ".spark polyline"] {
        let script = format!("document.querySelector('{drawn}') !== null");
        eventually(SOON, drawn, || (browser.eval(&script) == true).then_some(()));
    }
    let source = "document.querySelector('[aria-label=\"Pipeline orders\"] .source').textContent";
    let waits = || browser.eval(source).as_str().filter(|text| !text.contains(" 0 waiting")).map(ToOwned::to_owned);
    let told = eventually(SOON, "what waits is told", waits);
    assert!(told.contains("orders") && told.contains("list") && told.contains("waiting"), "{told}");
    let looks = "document.querySelector('.spark polyline').getAttribute('points').split(' ').length";
    eventually(SOON, "there is something to look at", || (browser.eval(looks).as_u64() >= Some(6)).then_some(()));
    picture(&mut browser, "pipelines");
    browser.dark(true);
    picture(&mut browser, "pipelines-dark");
    complains_of_nothing(&mut browser);
}

#[test]
fn all_views_work_by_keyboard_in_the_dark_and_on_a_phone() {
    let mill = mill("");
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..100));
    assert_eq!(all_arrive(&mill.sink, 0..100), 0);
    let Some(mut browser) = opened(&mill, FULL) else { return };
    browser.dark(true);
    browser.screen(390, 844, true);
    for (key, title, shows) in [
        ("1", "Pipelines", "in flight"),
        ("2", "Plugins", "stamp"),
        ("3", "Dead letters", "There are no dead letters"),
        ("4", "Endpoints", "sending"),
        ("5", "Tap", "Waiting for messages"),
    ] {
        browser.press(key);
        let is_there = || (browser.eval("document.querySelector('h1')?.textContent") == title).then_some(());
        eventually(SOON, title, is_there);
        browser.sees(shows);
        let wide = browser.eval("document.documentElement.scrollWidth - innerWidth");
        assert_eq!(wide, 0, "{title} fits onto a phone");
        let back = browser.eval("getComputedStyle(document.body).backgroundColor");
        assert_eq!(back, "rgb(20, 22, 26)", "and is dark");
        picture(&mut browser, &format!("phone-{key}"));
    }
    browser.press("2");
    browser.sees("History");
    browser.eval("document.querySelector('summary').focus()");
    browser.press("Enter");
    browser.sees("loaded");
    complains_of_nothing(&mut browser);
}

#[test]
fn messages_are_seen_as_they_pass_without_what_is_redacted() {
    let mill = mill("");
    let _node = mill.node();
    let Some(mut browser) = opened(&mill, READ) else { return };
    browser.click("a", "Tap");
    browser.sees("Waiting for messages");
    let mut next = 0;
    eventually(SOON, "a message is seen", || {
        mill.redis.push("jobs", jobs(next..next + 1));
        next += 1;
        browser.text().contains("filtered").then_some(())
    });
    let text = browser.text();
    assert!(text.contains("•••") && !text.contains("203.0.113.7"), "{text}");
    browser.screen(600, 800, false);
    assert_eq!(browser.eval("document.documentElement.scrollWidth - innerWidth"), 0, "long messages are cut");
    picture(&mut browser, "tap");
    browser.click("button", "Stop");
    complains_of_nothing(&mut browser);
}

#[test]
fn whoever_has_no_token_is_asked_for_one_and_whoever_only_reads_changes_nothing() {
    let mill = mill("");
    let _node = mill.node();
    let Some(mut browser) = Browser::start() else { return };
    browser.open(&format!("http://{}/", Caller::of(&mill).address()));
    browser.sees("Which token?");
    browser.write("not-the-right-token-at-all");
    browser.press("Enter");
    browser.sees("does not know this token");
    eventually(SOON, "the field is empty again", || {
        (browser.eval("document.querySelector('#token').value") == "").then_some(())
    });
    browser.write(READ);
    browser.press("Enter");
    browser.sees("You may read");
    let disabled = "[...document.querySelectorAll('button')].find((one) => one.textContent === 'Pause').disabled";
    assert_eq!(browser.eval(disabled), true);
    complains_of_nothing(&mut browser);
}
