/* The plugin API of Gristmill, version 0.1, for filters in C: the structures lie in memory as the canonical ABI of the
 * component model wants them, so that nothing is converted.
 *
 * One file of a plugin defines GRISTMILL_FILTER before it includes this, and the two functions
 *
 *     gm_refusal gm_init(gm_text config);      once for each instance, with the plugin's `config` table as JSON
 *     gm_answer gm_filter(gm_text payload);    for each message
 *
 * Texts are not terminated by a zero. What gm_alloc returns, and what the host hands over, is valid until the answer has
 * been read, and in gm_init for ever; nothing needs to be freed. `gristmill componentize` makes a plugin of what the
 * compiler makes of it.
 */
#ifndef GRISTMILL_H
#define GRISTMILL_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes, or UTF-8 where they are text. */
typedef struct {
    const char *at;
    size_t length;
} gm_text;

/* A text, or none. */
typedef struct {
    bool some;
    gm_text text;
} gm_maybe;

/* A header to set; one without a value is removed. */
typedef struct {
    gm_text name;
    gm_maybe value;
} gm_header;

/* How a message differs from the one in this call; what is left out stays as it was. */
typedef struct {
    gm_maybe topic;
    const gm_header *headers;
    size_t header_count;
    gm_maybe payload;
} gm_change;

/* What became of a message. Made by gm_pass, gm_replace, gm_split, gm_drop, gm_retry and gm_reject. */
typedef struct {
    bool failed;
    union {
        struct {
            uint8_t kind;
            union {
                gm_change replace;
                struct {
                    const gm_change *at;
                    size_t count;
                } split;
                gm_maybe drop;
            };
        } verdict;
        struct {
            uint8_t kind;
            union {
                struct {
                    bool has_after;
                    uint32_t after_ms;
                    gm_text reason;
                } retry;
                gm_text reject;
            };
        } fault;
    };
} gm_answer;

/* Whether the plugin refuses its config, and why. Made by gm_accept and gm_refuse. */
typedef struct {
    bool refused;
    gm_text reason;
} gm_refusal;

enum gm_level { GM_DEBUG, GM_INFO, GM_WARN, GM_ERROR };

_Static_assert(sizeof(gm_header) == 20 && sizeof(gm_change) == 32, "the canonical ABI's layout");
_Static_assert(offsetof(gm_change, headers) == 12 && offsetof(gm_change, payload) == 20, "the canonical ABI's layout");
_Static_assert(sizeof(gm_answer) == 40 && offsetof(gm_answer, verdict.replace) == 8, "the canonical ABI's layout");
_Static_assert(offsetof(gm_answer, fault.retry.reason) == 16, "the canonical ABI's layout");
_Static_assert(sizeof(gm_refusal) == 12, "the canonical ABI's layout");

/* Ends the instance; the message is tried again, and the text stands in the log and in the dead letter. */
static inline _Noreturn void gm_die(const char *text) {
    fprintf(stderr, "%s\n", text);
    abort();
}

/* The memory of this call. */
void *gm_alloc(size_t size);

static inline gm_text gm_string(const char *terminated) {
    return (gm_text){terminated, strlen(terminated)};
}

static inline gm_maybe gm_some(gm_text text) {
    return (gm_maybe){.some = true, .text = text};
}

static inline bool gm_equal(gm_text one, gm_text other) {
    return one.length == other.length && memcmp(one.at, other.at, one.length) == 0;
}

static inline gm_answer gm_pass(void) {
    return (gm_answer){.verdict.kind = 0};
}

static inline gm_answer gm_replace(gm_change change) {
    return (gm_answer){.verdict = {.kind = 1, .replace = change}};
}

static inline gm_answer gm_split(const gm_change *changes, size_t count) {
    return (gm_answer){.verdict = {.kind = 2, .split = {changes, count}}};
}

static inline gm_answer gm_drop(gm_text reason) {
    return (gm_answer){.verdict = {.kind = 3, .drop = gm_some(reason)}};
}

/* Heals with time: again after the pipeline's own pause. */
static inline gm_answer gm_retry(gm_text reason) {
    return (gm_answer){.failed = true, .fault = {.kind = 0, .retry = {.reason = reason}}};
}

/* Heals with time: again, not before so many milliseconds have passed. */
static inline gm_answer gm_retry_after(uint32_t ms, gm_text reason) {
    return (gm_answer){.failed = true, .fault = {.kind = 0, .retry = {true, ms, reason}}};
}

/* Never heals: the message becomes a dead letter with this reason. */
static inline gm_answer gm_reject(gm_text reason) {
    return (gm_answer){.failed = true, .fault = {.kind = 1, .reject = reason}};
}

static inline gm_refusal gm_accept(void) {
    return (gm_refusal){.refused = false};
}

static inline gm_refusal gm_refuse(gm_text reason) {
    return (gm_refusal){true, reason};
}

#ifdef __wasm__

#define GM_IMPORT(interface, function) \
    __attribute__((import_module("gristmill:plugin/" interface "@0.1.0"), import_name(function)))

GM_IMPORT("envelope", "id") void gm_import_id(gm_text *id);
GM_IMPORT("envelope", "source") void gm_import_source(gm_text *source);
GM_IMPORT("envelope", "topic") void gm_import_topic(gm_text *topic);
GM_IMPORT("envelope", "attempt") uint32_t gm_attempt(void);
GM_IMPORT("envelope", "received-ms") uint64_t gm_received_ms(void);
GM_IMPORT("envelope", "header") void gm_import_header(const char *name, size_t length, gm_maybe *value);
GM_IMPORT("log", "log") void gm_import_log(uint32_t level, const char *text, size_t length);

static inline gm_text gm_id(void) {
    gm_text id;
    gm_import_id(&id);
    return id;
}

static inline gm_text gm_source(void) {
    gm_text source;
    gm_import_source(&source);
    return source;
}

static inline gm_text gm_topic(void) {
    gm_text topic;
    gm_import_topic(&topic);
    return topic;
}

/* The header `name` of this message, whatever its case. */
static inline gm_maybe gm_header_of(gm_text name) {
    gm_maybe value;
    gm_import_header(name.at, name.length, &value);
    return value;
}

static inline void gm_log(enum gm_level level, gm_text text) {
    gm_import_log(level, text.at, text.length);
}

#endif

#ifdef GRISTMILL_FILTER

gm_refusal gm_init(gm_text config);
gm_answer gm_filter(gm_text payload);

typedef struct gm_block {
    alignas(max_align_t) struct gm_block *next;
} gm_block;

static gm_block *gm_blocks;

void *gm_alloc(size_t size) {
    gm_block *block = malloc(sizeof(gm_block) + size);
    if (block == NULL) gm_die("out of memory");
    block->next = gm_blocks;
    gm_blocks = block;
    return block + 1;
}

static void gm_free_all(void) {
    while (gm_blocks != NULL) {
        gm_block *next = gm_blocks->next;
        free(gm_blocks);
        gm_blocks = next;
    }
}

#ifdef __wasm__

__attribute__((export_name("cabi_realloc"))) void *gm_realloc(void *old, size_t old_size, size_t align, size_t size) {
    (void)align;
    void *fresh = gm_alloc(size);
    if (old_size > 0) memcpy(fresh, old, old_size < size ? old_size : size);
    return fresh;
}

__attribute__((export_name("gristmill:plugin/setup@0.1.0#init"))) const gm_refusal *gm_export_init(const char *config,
                                                                                                 size_t length) {
    static gm_refusal refusal;
    refusal = gm_init((gm_text){config, length});
    gm_blocks = NULL; /* What was allocated until now stays. */
    return &refusal;
}

__attribute__((export_name("gristmill:plugin/filtering@0.1.0#filter"))) const gm_answer *gm_export_filter(
    const char *payload, size_t length) {
    static gm_answer answer;
    answer = gm_filter((gm_text){payload, length});
    return &answer;
}

__attribute__((export_name("cabi_post_gristmill:plugin/filtering@0.1.0#filter"))) void gm_export_filter_done(
    const gm_answer *answer) {
    (void)answer;
    gm_free_all();
}

#endif
#endif
#endif
