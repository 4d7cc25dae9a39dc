/* As much JSON as this filter needs: a walk over a document that finds the members of the object at its top, and tells
 * what is wrong with it where something is. */
#ifndef JSON_H
#define JSON_H

#include "sdk/gristmill.h"

/* What is deeper is refused, so that nobody can use up the stack. */
enum { JSON_DEPTH = 128 };

typedef struct {
    const char *start, *at, *end;
    const char *fault; /* what is wrong, at `at` */
} json;

static inline bool json_fail(json *in, const char *fault) {
    if (in->fault == NULL) in->fault = fault;
    return false;
}

static inline bool json_is(const json *in, char c) {
    return in->at < in->end && *in->at == c;
}

static inline void json_space(json *in) {
    while (json_is(in, ' ') || json_is(in, '\t') || json_is(in, '\n') || json_is(in, '\r')) in->at++;
}

/* Steps over `c` and the space around it. */
static inline bool json_take(json *in, char c) {
    json_space(in);
    if (!json_is(in, c)) return false;
    in->at++;
    json_space(in);
    return true;
}

static inline bool json_digits(json *in) {
    const char *start = in->at;
    while (in->at < in->end && *in->at >= '0' && *in->at <= '9') in->at++;
    return in->at > start || json_fail(in, "a digit is missing");
}

static inline bool json_number(json *in) {
    if (json_is(in, '-')) in->at++;
    if (json_is(in, '0')) {
        in->at++;
    } else if (!json_digits(in)) {
        return false;
    }
    if (json_is(in, '.')) {
        in->at++;
        if (!json_digits(in)) return false;
    }
    if (json_is(in, 'e') || json_is(in, 'E')) {
        in->at++;
        if (json_is(in, '+') || json_is(in, '-')) in->at++;
        return json_digits(in);
    }
    return true;
}

static inline bool json_word(json *in, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(in->end - in->at) < length || memcmp(in->at, word, length) != 0) {
        return json_fail(in, "this is no value");
    }
    in->at += length;
    return true;
}

static inline bool json_hex(json *in, uint32_t *unit) {
    *unit = 0;
    for (int digit = 0; digit < 4; digit++, in->at++) {
        char c = in->at < in->end ? *in->at : 0;
        uint32_t value;
        if (c >= '0' && c <= '9') value = c - '0';
        else if ((c | 32) >= 'a' && (c | 32) <= 'f') value = (c | 32) - 'a' + 10;
        else return json_fail(in, "four hexadecimal digits are wanted");
        *unit = *unit * 16 + value;
    }
    return true;
}

/* What follows `\u`, with the second half of a pair. */
static inline bool json_code_point(json *in, uint32_t *point) {
    uint32_t low;
    if (!json_hex(in, point)) return false;
    if (*point < 0xd800 || *point > 0xdfff) return true;
    if (*point > 0xdbff || !json_is(in, '\\') || in->end - in->at < 2 || in->at[1] != 'u') {
        return json_fail(in, "half of a surrogate pair");
    }
    in->at += 2;
    if (!json_hex(in, &low)) return false;
    if (low < 0xdc00 || low > 0xdfff) return json_fail(in, "half of a surrogate pair");
    *point = 0x10000 + ((*point - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

static inline char *json_utf8(char *to, uint32_t point) {
    if (point < 0x80) {
        *to++ = (char)point;
        return to;
    }
    int rest = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    *to++ = (char)(lead[rest] | point >> 6 * rest);
    while (rest-- > 0) *to++ = (char)(0x80 | (point >> 6 * rest & 0x3f));
    return to;
}

/* The length of the character at `at`, or 0 where the bytes are not UTF-8: not whole, too long, or half of a pair. */
static inline size_t json_character(const char *at, const char *end) {
    unsigned char first = (unsigned char)at[0];
    size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (length == 0 || (size_t)(end - at) < length) return 0;
    for (size_t byte = 1; byte < length; byte++) {
        if (((unsigned char)at[byte] & 0xc0) != 0x80) return 0;
    }
    unsigned char second = length > 1 ? (unsigned char)at[1] : 0x80;
    bool wrong = (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90) ||
                 (first == 0xf4 && second > 0x8f);
    return wrong ? 0 : length;
}

static inline bool json_escape(json *in, char **to) {
    static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    char c = in->at < in->end ? *in->at++ : 0;
    uint32_t point;
    if (c == 'u') {
        if (!json_code_point(in, &point)) return false;
        *to = json_utf8(*to, point);
        return true;
    }
    const char *found = c == 0 ? NULL : strchr(names, c);
    if (found == NULL) return json_fail(in, "no such escape");
    *(*to)++ = meant[found - names];
    return true;
}

/* Steps over a string; what it says, without quotes and escapes, goes to `text`. */
static inline bool json_string(json *in, gm_text *text) {
    if (!json_is(in, '"')) return json_fail(in, "a string is wanted");
    in->at++;
    const char *close = in->at;
    while (close < in->end && *close != '"') close += *close == '\\' && in->end - close > 1 ? 2 : 1;
    char *start = gm_alloc((size_t)(close - in->at) + 1), *to = start;
    while (in->at < in->end && *in->at != '"') {
        if (*in->at == '\\') {
            in->at++;
            if (!json_escape(in, &to)) return false;
            continue;
        }
        size_t length = json_character(in->at, in->end);
        if (length == 0) return json_fail(in, "this is not UTF-8");
        if ((unsigned char)*in->at < 0x20) return json_fail(in, "a control character in a string");
        memcpy(to, in->at, length);
        to += length;
        in->at += length;
    }
    if (in->at == in->end) return json_fail(in, "the string does not end");
    in->at++;
    *text = (gm_text){start, (size_t)(to - start)};
    return true;
}

static inline bool json_value(json *in, int depth);

static inline bool json_members(json *in, int depth) {
    gm_text name;
    if (json_take(in, '}')) return true;
    do {
        if (!json_string(in, &name)) return false;
        if (!json_take(in, ':')) return json_fail(in, "a colon is wanted");
        if (!json_value(in, depth)) return false;
    } while (json_take(in, ','));
    return json_take(in, '}') || json_fail(in, "the object does not end");
}

static inline bool json_items(json *in, int depth) {
    if (json_take(in, ']')) return true;
    do {
        if (!json_value(in, depth)) return false;
    } while (json_take(in, ','));
    return json_take(in, ']') || json_fail(in, "the array does not end");
}

/* Steps over a value. */
static inline bool json_value(json *in, int depth) {
    gm_text text;
    if (depth == JSON_DEPTH) return json_fail(in, "nested too deeply");
    json_space(in);
    switch (in->at < in->end ? *in->at : 0) {
        case '{': in->at++; json_space(in); return json_members(in, depth + 1);
        case '[': in->at++; json_space(in); return json_items(in, depth + 1);
        case '"': return json_string(in, &text);
        case 't': return json_word(in, "true");
        case 'f': return json_word(in, "false");
        case 'n': return json_word(in, "null");
        default: return json_number(in);
    }
}

#endif
