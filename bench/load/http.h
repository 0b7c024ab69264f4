/* What both programs need of HTTP/1.1 and of the event template: heads, the chunked coding, the clock. */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define INDEX_DIGITS 6
#define STAMP_DIGITS 20

static inline uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

__attribute__((noreturn, format(printf, 1, 2))) static inline void die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

struct bytes {
    char *data;
    size_t length;
};

static inline struct bytes read_file(const char *path) {
    struct bytes b = {0};
    FILE *f = fopen(path, "rb");
    if (!f) die("%s: %s", path, strerror(errno));
    fseek(f, 0, SEEK_END);
    b.length = (size_t)ftell(f);
    rewind(f);
    b.data = malloc(b.length + 1);
    if (!b.data || fread(b.data, 1, b.length, f) != b.length) die("%s: short read", path);
    b.data[b.length] = 0;
    fclose(f);
    return b;
}

/* Length of the head with its empty line, or 0 when it is not complete. */
static inline size_t head_length(const char *data, size_t length) {
    const char *end = memmem(data, length, "\r\n\r\n", 4);
    return end ? (size_t)(end - data) + 4 : 0;
}

/* The value of the first header `name` (length in *n), NULL without one; *count tells how many there are. */
static inline const char *header(const char *head, size_t length, const char *name, size_t *n, int *count) {
    const char *found = NULL, *line = memchr(head, '\n', length), *end = head + length;
    size_t name_length = strlen(name);
    *count = 0;
    *n = 0;
    while (line && ++line < end) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        if (!next) break;
        if ((size_t)(next - line) > name_length && line[name_length] == ':' && !strncasecmp(line, name, name_length)) {
            const char *value = line + name_length + 1;
            while (*value == ' ') value++;
            if (!(*count)++) {
                found = value;
                *n = (size_t)(next - value) - 1;
            }
        }
        line = next;
    }
    return found;
}

/* A body being read: by length, chunked, or up to the end of the connection. */
enum framing { BY_LENGTH, CHUNKED, UNTIL_CLOSE };
enum chunk_state { SIZE, SIZE_EXTENSION, DATA, DATA_CR, DATA_LF, TRAILER, TRAILER_LINE, BODY_DONE, BODY_BAD };

struct body {
    enum framing framing;
    enum chunk_state state;
    uint64_t left;   /* of the body, or of the current chunk */
    uint64_t chunks; /* non-empty chunks begun */
};

static inline void body_start(struct body *b, const char *head, size_t length, enum framing otherwise) {
    size_t n;
    int count;
    const char *value;
    memset(b, 0, sizeof *b);
    b->framing = otherwise;
    if ((value = header(head, length, "transfer-encoding", &n, &count)) && n >= 7 && !strncasecmp(value, "chunked", 7)) {
        b->framing = CHUNKED;
        b->state = SIZE;
    } else if ((value = header(head, length, "content-length", &n, &count))) {
        b->framing = BY_LENGTH;
        b->left = strtoull(value, NULL, 10);
        b->state = b->left ? DATA : BODY_DONE;
    } else {
        b->state = otherwise == UNTIL_CLOSE ? DATA : BODY_DONE;
    }
}

static inline int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * Consume body bytes: gives how many of `data` were used, and by `*payload`, `*n` a run of content in them
 * (possibly empty). Call again with the rest until all is used or `b->state` is BODY_DONE or BODY_BAD.
 */
static inline size_t body_take(struct body *b, const char *data, size_t length, const char **payload, size_t *n) {
    size_t i = 0;
    *n = 0;
    if (b->framing == UNTIL_CLOSE) {
        *payload = data;
        return *n = length;
    }
    while (i < length && b->state != BODY_DONE && b->state != BODY_BAD) {
        char c = data[i];
        int digit;
        switch (b->state) {
        case SIZE:
            if ((digit = hex_digit(c)) >= 0) b->left = b->left * 16 + (uint64_t)digit;
            else if (c == '\n') b->state = b->left ? (b->chunks++, DATA) : TRAILER;
            else if (c != '\r') b->state = c == ';' ? SIZE_EXTENSION : BODY_BAD;
            i++;
            break;
        case SIZE_EXTENSION:
            if (c == '\n') b->state = b->left ? (b->chunks++, DATA) : TRAILER;
            i++;
            break;
        case DATA:
            *payload = data + i;
            *n = length - i < b->left ? length - i : b->left;
            b->left -= *n;
            if (!b->left) b->state = b->framing == CHUNKED ? DATA_CR : BODY_DONE;
            return i + *n;
        case DATA_CR:
            b->state = c == '\r' ? DATA_LF : BODY_BAD;
            i++;
            break;
        case DATA_LF:
            b->state = c == '\n' ? SIZE : BODY_BAD;
            i++;
            break;
        case TRAILER:
            if (c == '\n') b->state = BODY_DONE;
            else if (c != '\r') b->state = TRAILER_LINE;
            i++;
            break;
        case TRAILER_LINE:
            if (c == '\n') b->state = TRAILER;
            i++;
            break;
        default:
            break;
        }
    }
    return i;
}

static inline void put_digits(char *at, int digits, uint64_t value) {
    while (digits--) {
        at[digits] = (char)('0' + value % 10);
        value /= 10;
    }
}

/* The argument of `--name`; `fallback` without one, or an error when that is NULL too. */
static inline const char *option(int argc, char **argv, const char *name, const char *fallback) {
    for (int i = 1; i + 1 < argc; i += 2)
        if (!strncmp(argv[i], "--", 2) && !strcmp(argv[i] + 2, name)) return argv[i + 1];
    if (!fallback) die("--%s is missing", name);
    return fallback;
}

#endif
