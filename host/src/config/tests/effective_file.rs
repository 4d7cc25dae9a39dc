//! The file written out in full.

use super::*;

fn assert_stays_the_same(text: &str) -> String {
    let loaded = good(text);
    let written = effective(&loaded);
    assert_eq!(good(&written).config, loaded.config, "{written}");
    written
}

#[test]
fn it_loads_to_what_it_was_made_from() {
    assert_stays_the_same("");
    assert_stays_the_same(MINIMAL);
    assert_stays_the_same(DEFAULT);
    assert_stays_the_same(
        "redis = 'embedded'\nembedded = { port = 1 }\nshutdown.grace = \"\"\"1s\"\"\"\n\
         pipeline.p = { from.list = \"q\", retry.attempts = 0x2 }\n\
         [pipeline.\"ü.v\"]\nfrom = { list = '''a\nb''' }\nfilters = [\n  'x_y', # first\n]\n\
         [plugin.x_y.config]\n\"a b\\n\\u007f\" = 1\n[plugin.x_y.config.deep]\nat = 07:32:00\n\
         [[plugin.x_y.config.rows]]\nn = 1\n[[plugin.x_y.config.rows]]\nn = 2.5\n",
    );
}

#[test]
fn it_has_every_default_and_no_value_of_the_environment() {
    let written = assert_stays_the_same(
        "redis = \"redis://${REDIS_HOST}\"\n[pipeline.p]\nfrom = { list = \"${QUEUE}\" }\n\
         retry = { attempts = 2 }\n[plugin.out]\nconfig = { key = \"${SECRET}\" }\n",
    );
    assert_eq!(written, include_str!("../../../tests/config/effective.toml"));
}
