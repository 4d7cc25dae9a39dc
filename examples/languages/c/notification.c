/* A Gristmill filter in C: checks a notification, drops what is private, and says whom it is for. */

#define GRISTMILL_FILTER
#include "json.h"

static gm_text private;

/* What the filter has found in a notification. */
typedef struct {
    gm_maybe user, text;
    char *rest; /* the document without what is private */
    size_t length;
} notification;

static gm_answer not_json(const json *in) {
    static const char format[] = "not JSON: %s at byte %zu";
    size_t size = sizeof format + strlen(in->fault) + 20;
    char *reason = gm_alloc(size);
    snprintf(reason, size, format, in->fault, (size_t)(in->at - in->start));
    return gm_reject(gm_string(reason));
}

static void copy(notification *into, const char *from, size_t length) {
    memcpy(into->rest + into->length, from, length);
    into->length += length;
}

/* Reads one member, and copies it unless it is private. */
static bool member(json *in, notification *found) {
    gm_text name, value;
    const char *start = in->at;
    if (!json_string(in, &name)) return false;
    if (!json_take(in, ':')) return json_fail(in, "a colon is wanted");
    bool string = json_is(in, '"');
    if (!(string ? json_string(in, &value) : json_value(in, 1))) return false;
    gm_maybe said = string ? gm_some(value) : (gm_maybe){.some = false};
    if (gm_equal(name, gm_string("user"))) found->user = said;
    if (gm_equal(name, gm_string("text"))) found->text = said;
    if (!gm_equal(name, private)) {
        if (found->length > 1) copy(found, ",", 1);
        copy(found, start, (size_t)(in->at - start));
    }
    return true;
}

/* Reads an object, and nothing behind it. Whatever else the document is, is no notification. */
static bool read(json *in, notification *found) {
    json_space(in);
    if (!json_is(in, '{')) {
        if (!json_value(in, 0)) return false;
    } else {
        in->at++;
        json_space(in);
        if (!json_take(in, '}')) {
            do {
                if (!member(in, found)) return false;
            } while (json_take(in, ','));
            if (!json_take(in, '}')) return json_fail(in, "the object does not end");
        }
    }
    json_space(in);
    return in->at == in->end || json_fail(in, "there is more behind it");
}

/* Called once for each instance, before any message. */
gm_refusal gm_init(gm_text config) {
    json in = {config.at, config.at, config.at + config.length, NULL};
    private = gm_string("ip");
    if (!json_take(&in, '{') || json_take(&in, '}')) return gm_accept();
    do {
        gm_text name;
        if (!json_string(&in, &name) || !json_take(&in, ':')) return gm_refuse(gm_string("the config is no JSON"));
        if (!gm_equal(name, gm_string("private"))) return gm_refuse(gm_string("there is no such key; there is `private`"));
        if (!json_string(&in, &private)) return gm_refuse(gm_string("`private` is to be the name of a field"));
    } while (json_take(&in, ','));
    return gm_accept();
}

/* Called for every message. */
gm_answer gm_filter(gm_text payload) {
    json in = {payload.at, payload.at, payload.at + payload.length, NULL};
    notification found = {.rest = gm_alloc(payload.length + 2), .length = 1};
    found.rest[0] = '{';
    if (!read(&in, &found)) return not_json(&in);
    if (!found.user.some || !found.text.some) {
        return gm_reject(gm_string("no notification: `user` and `text` are to be strings"));
    }
    found.rest[found.length++] = '}';

    gm_header *user = gm_alloc(sizeof *user);
    *user = (gm_header){gm_string("user"), found.user};
    return gm_replace((gm_change){
        .headers = user,
        .header_count = 1,
        .payload = gm_some((gm_text){found.rest, found.length}),
    });
}
