//! Files that nobody writes on purpose, or only to do harm.

use super::*;

fn load_bytes(bytes: &[u8]) -> Result<Loaded, Faults> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("gristmill.toml");
    std::fs::write(&path, bytes).expect("writes");
    load(&path, &environment)
}

fn only_message(bytes: &[u8]) -> String {
    let faults = load_bytes(bytes).expect_err("refused");
    let messages = messages(&faults);
    assert_eq!(messages.len(), 1, "{faults}");
    messages.concat()
}

#[test]
fn a_file_that_is_not_there_says_how_to_get_one() {
    let faults = load(Path::new("nowhere/gristmill.toml"), &environment).expect_err("none");
    assert_eq!(
        faults.to_string(),
        "error: there is no such file\n--> nowhere/gristmill.toml\n = help: `gristmill config default > \
         gristmill.toml` writes one to begin with; `--config` names another"
    );
}

#[test]
fn a_directory_is_not_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let faults = load(directory.path(), &environment).expect_err("refused");
    assert!(faults.to_string().starts_with("error: this file cannot be read: "));
}

#[test]
fn a_file_on_disk_is_loaded() {
    let loaded = load_bytes(MINIMAL.as_bytes()).expect("loads");
    assert!(loaded.config.plugins_dir.is_absolute());
}

#[test]
fn binary_garbage_is_refused_where_it_begins() {
    let garbage: Vec<u8> = (0..=255).cycle().take(4096).collect();
    assert_eq!(only_message(&garbage), "this file is not text in UTF-8");
    let faults = load_bytes(b"# fine\nlease = \"\xff\xfe\"\n").expect_err("refused");
    let fault = faults.iter().next().expect("one");
    assert_eq!(faults.position(fault), Some((2, 10)));
    load_bytes(&[0; 4096]).expect_err("refused").to_string();
}

#[test]
fn ten_megabytes_are_no_configuration() {
    let expected = "this file is longer than 1 MiB, so it is no configuration";
    assert_eq!(only_message(&vec![b'#'; 10 << 20]), expected);
    assert_eq!(only_message(&vec![b'#'; (1 << 20) + 1]), expected);
    load_bytes(&vec![b'#'; 1 << 20]).expect("is just short enough");
}

#[test]
fn deep_nesting_is_refused_on_a_small_stack() {
    let inline = |levels: usize, dots: usize| {
        let open = format!("{{ a{} = ", ".a".repeat(dots));
        format!("{}1{}", open.repeat(levels), " }".repeat(levels))
    };
    let files = [
        format!("a = {}", "[".repeat(500_000)),
        format!("a{} = 1", ".a".repeat(500_000)),
        format!("[a{}]", ".a".repeat(500_000)),
        format!("a = {}", inline(100_000, 0)),
        format!("a{} = {}", ".a".repeat(78), inline(78, 78)),
        format!("a = 1\na = {}", inline(78, 78)),
    ];
    for file in files {
        assert_eq!(refused(&file).len(), 1);
    }
    let config = format!("{MINIMAL}[plugin.out]\nconfig = {}\n", inline(50, 0));
    assert_stays_loadable(&config);
}

fn assert_stays_loadable(text: &str) {
    let loaded = good(text);
    assert_eq!(good(&effective(&loaded)).config, loaded.config);
}

#[test]
fn thousands_of_faults_are_counted_not_shown() {
    let text: String = (0..5_000).map(|n| format!("key{n} = 1\n")).collect();
    let faults = read(&text).expect_err("refused");
    assert_eq!(faults.iter().count(), 5_000);
    let said = faults.to_string();
    assert!(said.ends_with("error: 4900 more like these"), "{said}");
}

#[test]
fn a_source_of_thousands_of_names_and_keys_is_read_to_its_end() {
    let names: Vec<String> = (0..20_000).map(|n| format!("\"{{q}}{n}\"")).collect();
    let text = format!("redis = \"redis+cluster://a\"\npipeline.p.from.list = [{}]\n", names.join(", "));
    let config = good(&text).config;
    assert!(
        matches!(&config.pipelines.get("p").expect("is there").from, From::Lists(lists) if lists.names.len() == 20_000)
    );
    let doubled = vec!["\"q\""; 20_000].join(", ");
    assert_eq!(refused(&format!("pipeline.p = {{ publish = [\"o\"], from.list = [{doubled}] }}\n")).len(), 19_999);
    let keys: String = (0..5_000).map(|n| format!("key{n} = 1, ")).collect();
    let faults = read(&format!("pipeline.p = {{ publish = [\"o\"], from = {{ {keys}list = \"q\" }} }}\n"))
        .expect_err("unknown keys");
    assert!(faults.to_string().ends_with("error: 4900 more like these"));
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let text = "\"\\u001b[31m\" = 1\n[pipeline.\"\\u001b[0m\\n\"]\nfrom = \"\\u001b\"\n";
    let said = read(text).expect_err("refused").to_string();
    assert!(said.chars().all(|letter| letter == '\n' || !letter.is_control()), "{said:?}");
}
