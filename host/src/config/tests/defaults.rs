//! What a file means that leaves keys out.

use super::*;

#[test]
fn a_file_that_says_nothing_has_the_defaults() {
    let loaded = good("");
    let expected = Config {
        redis: Redis::Url("redis://127.0.0.1:6379".to_owned()),
        sentinel_user: None,
        sentinel_password: None,
        tls: Tls::default(),
        plugins_dir: PathBuf::from("plugins"),
        data_dir: PathBuf::from(".gristmill"),
        lease: Duration::from_secs(15),
        pipelines: BTreeMap::new(),
        plugins: BTreeMap::new(),
        compile: Compile { timeout: Duration::from_secs(60), memory_mib: 2_048, file_mib: 64 },
        endpoints: BTreeMap::new(),
        databases: BTreeMap::new(),
        edge: edge(),
        admin: Admin {
            listen: Some(Listen::Socket(PathBuf::from(".gristmill/admin.sock"))),
            tokens: None,
            redact: ["password", "token", "secret", "authorization", "cookie"].map(str::to_owned).to_vec(),
        },
        log: LogFormat::Text,
        traces: Traces {
            collector: None,
            sample: 1.0,
            service: "gristmill".to_owned(),
            traceparent: vec![OrderBy::Header("traceparent".to_owned())],
        },
        shutdown: Shutdown { grace: Duration::from_secs(30) },
    };
    assert_eq!(loaded.config, expected);
    let warnings = messages(&loaded.warnings).join("\n");
    assert_eq!(warnings, "there is no pipeline, so there is nothing to do");
}

fn edge() -> Edge {
    Edge {
        listen: None,
        threads: None,
        token_secret: None,
        token_keys: None,
        token_audience: None,
        origins: Vec::new(),
        limits: EdgeLimits {
            connections: 100_000,
            per_address: 10_000,
            connects: None,
            channels: 100_000,
            head_bytes: 16 << 10,
            message_bytes: 256 << 10,
            queue_bytes: 256 << 10,
            send_buffer_bytes: 64 << 10,
            history_bytes: 256 << 20,
        },
        timeouts: EdgeTimeouts {
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            ping: Duration::from_secs(25),
            pong: Duration::from_secs(20),
            stall: Duration::from_secs(10),
        },
        coalesce: Duration::from_millis(5),
        slow: Slow::Close,
        reconnect: Duration::from_secs(2),
        push_stream: None,
        channels: Vec::new(),
    }
}

#[test]
fn a_channel_without_a_table_is_like_one_with_an_empty_table() {
    let history = HistoryBounds { messages: 100, bytes: 1 << 20, age: Duration::from_secs(300) };
    assert_eq!(Channel::default(), Channel { open: false, history });
    let channels = good("[channel.\"news.*\"]\n").config.edge.channels;
    assert_eq!(channels, [(crate::command::Pattern::new("news.*"), Channel::default())]);
}

#[test]
fn a_pipeline_needs_only_its_source() {
    let config = good("[pipeline.p]\nfrom = { list = \"q\" }\n").config;
    let expected = Pipeline {
        from: from_list("q"),
        filters: Vec::new(),
        publish: Vec::new(),
        edge: EdgeTarget { channel: Template(vec![Part::Topic]), event: Template::default() },
        in_flight: 256,
        rate: None,
        take: Take::Oldest,
        backlog: None,
        order: None,
        journal: true,
        keep_dead: KeepDead { most: 100_000, longest: Duration::from_secs(90 * 86_400) },
        retry: Retry { attempts: 8, crashes: 3, first: Duration::from_secs(1), longest: Duration::from_secs(300) },
        dead_letters: None,
    };
    assert_eq!(config.pipelines.get("p"), Some(&expected));
}

#[test]
fn a_plugin_without_a_table_is_like_one_with_an_empty_table() {
    let expected = Plugin {
        file: None,
        config: json!({}),
        timeout: Duration::from_millis(50),
        memory_mib: 32,
        isolation: Isolation::Reuse,
        limits: Limits {
            answer_kib: 16_384,
            children: 1_000,
            requests: 1_000,
            rounds: 8,
            log_lines: 20,
            table_elements: 20_000,
            parts: 100,
            handles: 10_000,
            instances: 256,
        },
        batch: Batch { size: 10, linger: Duration::ZERO, bytes: 1 << 20 },
        mode: Mode::Auto,
        allow_http: Vec::new(),
        http_timeout: Duration::from_secs(10),
        http_response_kib: 1024,
        allow_redis: Vec::new(),
        allow_dirs: BTreeMap::new(),
        allow_env: Vec::new(),
        allow: BTreeSet::new(),
        secrets: Secrets::default(),
        lookups: Lookups {
            store: Store::Nothing,
            bounds: StoreBounds {
                keys: 100_000,
                bytes: 16 << 20,
                value_bytes: 64 << 10,
                longest: Some(Duration::from_secs(30 * 86_400)),
            },
            sql: Vec::new(),
            wait: Duration::from_secs(1),
        },
    };
    assert_eq!(Plugin::default(), expected);
    let config = good(&format!("{MINIMAL}[plugin.out]\n")).config;
    assert_eq!(config.plugins.get("out"), Some(&expected));
}

#[test]
fn the_reference_file_says_what_a_file_without_its_keys_means() {
    let reference = good(DEFAULT).config;
    let mut bare = good(
        "[pipeline.NAME]\nfrom = { list = \"NAME\" }\n[plugin.NAME]\n[endpoint.NAME]\n\
                         [database.NAME]\nurl = \"sqlite:NAME.db\"\n[channel.NAME]\n",
    )
    .config;
    for pipeline in bare.pipelines.values_mut() {
        pipeline.dead_letters = Some("gristmill:{NAME}:NAME:dead".to_owned());
    }
    for plugin in bare.plugins.values_mut() {
        plugin.file = Some("NAME.wasm".to_owned());
    }
    assert_eq!(reference, bare);
}

#[test]
fn each_source_of_the_reference_file_says_what_one_without_its_keys_means() {
    let full: Vec<&str> = DEFAULT.lines().filter_map(|line| line.strip_prefix("#from = ")).collect();
    assert_eq!(full.len(), 6, "{full:?}");
    for full in full {
        let (first, _) = full.split_once(['}', ',']).expect("a table");
        let reference = pipeline(&format!("from = {}", full.replace(", host = \"HOSTNAME.gristmill\"", "")));
        assert_eq!(reference, pipeline(&format!("from = {first} }}")), "{full}");
    }
}

#[test]
fn the_reference_file_only_leaves_to_say_what_to_do() {
    let expected = ["[pipeline.NAME] has neither filters nor publishers, so it takes messages and drops them"];
    let rest = ["no pipeline uses [plugin.NAME]", "no plugin may ask [database.NAME]"];
    assert_eq!(warned(DEFAULT), [&expected[..], &rest[..]].concat());
    for source in DEFAULT.lines().filter_map(|line| line.strip_prefix("#from = ")) {
        let mut text = DEFAULT.replace("from = { list =", "from = { NONE =").replace("dead_letters", "# dead_letters");
        text = text.replacen("from = { NONE =", &format!("from = {source} # "), 1);
        assert_eq!(warned(&text), [&expected[..], &rest[..]].concat(), "{source}");
    }
}

#[test]
fn every_key_of_the_reference_file_has_its_sentence() {
    let mut lines = DEFAULT.lines().peekable();
    while let Some(line) = lines.next() {
        let key = lines.peek().filter(|next| next.contains(" = "));
        if let Some(key) = key.filter(|key| !key.starts_with("# ")) {
            assert!(line.starts_with("# "), "no sentence: {key}");
        }
    }
}
