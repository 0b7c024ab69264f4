/*
 * The box of the bench: N keep-alive connections that send one prepared request again and again.
 *
 *   load --port P --request FILE --connections N --seconds S --most COUNT --deadline S --events E
 *        --answer-body FILE --answer-words FILE --rewritten 0|1 --event FILE --index-at N --stamp-at N (others are ignored)
 *
 * With --preface FILE each connection begins with the file's bytes. A connection sends its next request when the answer is complete, until S seconds or COUNT requests are reached;
 * all begun answers are read to their end. Every byte of every answer is compared; the first wrong one ends the
 * program with status 1. With --rewritten 1 the answer may be another document, but must hold the words. Prints one line of JSON: counts, and percentiles in microseconds.
 */
#include "http.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define IN_BYTES (256 * 1024)
#define HEAD_BYTES (16 * 1024)
#define REWRITTEN_BYTES (8 * 1024)
#define MAX_SAMPLES (4u << 20)

struct samples {
    double *us;
    size_t count, room;
};

struct connection {
    int fd, wants_write, closes;
    int reading_body, busy;
    size_t sent;
    uint64_t began, stamp;
    uint64_t at; /* place in the answer's body */
    struct body body;
    size_t head_length;
    char head[HEAD_BYTES];
    char rewritten[REWRITTEN_BYTES]; /* the body so far, with --rewritten */
};

static struct bytes preface, request, answer_body, answer_words, event_template;
static int is_rewritten;
static size_t index_at, stamp_at;
static uint64_t expected_bytes, events_expected;
static int poll_fd, port;
static uint64_t stop_at, most, begun, finished, connects, received, chunks, reads, last_finished;
static struct samples whole, first, delay;
static char in[IN_BYTES];

static void sample(struct samples *s, uint64_t ns) {
    if (s->count == MAX_SAMPLES) return;
    if (s->count == s->room) {
        s->room = s->room ? s->room * 2 : 4096;
        if (!(s->us = realloc(s->us, s->room * sizeof *s->us))) die("out of memory");
    }
    s->us[s->count++] = (double)ns / 1000;
}

/* -- is it the right answer -------------------------------------------------------------------------------- */

static void verify_event_bytes(struct connection *c, const char *data, size_t n) {
    uint64_t now = 0;
    while (n) {
        size_t at = c->at % event_template.length, run;
        if (at >= stamp_at && at < stamp_at + STAMP_DIGITS) {
            if (at == stamp_at) c->stamp = 0;
            c->stamp = c->stamp * 10 + (uint64_t)(*data - '0');
            run = 1;
        } else if (at >= index_at && at < index_at + INDEX_DIGITS) {
            char digits[INDEX_DIGITS];
            put_digits(digits, INDEX_DIGITS, c->at / event_template.length);
            if (*data != digits[at - index_at]) die("event %llu: lost or out of order", (unsigned long long)(c->at / event_template.length));
            run = 1;
        } else {
            size_t end = event_template.length;
            if (at < index_at) end = index_at;
            else if (at < stamp_at) end = stamp_at;
            run = end - at < n ? end - at : n;
            if (memcmp(data, event_template.data + at, run)) die("wrong byte in event %llu", (unsigned long long)(c->at / event_template.length));
            if (at + run == event_template.length) {
                if (!now) now = now_ns();
                sample(&delay, now - c->stamp);
            }
        }
        data += run;
        n -= run;
        c->at += run;
    }
}

static void verify(struct connection *c, const char *data, size_t n) {
    if (!n) return;
    if (is_rewritten) {
        if (c->at + n > REWRITTEN_BYTES) die("answer is longer than %d bytes", REWRITTEN_BYTES);
        if (!c->at) sample(&first, now_ns() - c->began);
        received += n;
        memcpy(c->rewritten + c->at, data, n);
        c->at += n;
        return;
    }
    if (c->at + n > expected_bytes) die("answer is longer than %llu bytes", (unsigned long long)expected_bytes);
    if (!c->at) sample(&first, now_ns() - c->began);
    received += n;
    if (events_expected) {
        verify_event_bytes(c, data, n);
        return;
    }
    if (memcmp(data, answer_body.data + c->at, n)) die("wrong byte in the answer after %llu", (unsigned long long)c->at);
    c->at += n;
}

/* -- one connection ---------------------------------------------------------------------------------------- */

static void want_write(struct connection *c, int wanted) {
    if (c->wants_write == wanted) return;
    struct epoll_event e = {.events = EPOLLIN | (wanted ? (uint32_t)EPOLLOUT : 0u), .data.ptr = c};
    epoll_ctl(poll_fd, EPOLL_CTL_MOD, c->fd, &e);
    c->wants_write = wanted;
}

static void push_request(struct connection *c) {
    while (c->sent < request.length) {
        ssize_t n = send(c->fd, request.data + c->sent, request.length - c->sent, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINPROGRESS)) {
            want_write(c, 1);
            return;
        }
        if (n < 0) die("send: %s", strerror(errno));
        c->sent += (size_t)n;
    }
    want_write(c, 0);
}

static void begin(struct connection *c) {
    if (begun >= most || now_ns() >= stop_at) return;
    begun++;
    c->busy = 1;
    c->sent = c->head_length = c->at = 0;
    c->reading_body = 0;
    c->began = now_ns();
    push_request(c);
}

static void open_connection(struct connection *c) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (void *)&to, sizeof to)) die("connect: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (preface.length && send(c->fd, preface.data, preface.length, MSG_NOSIGNAL) != (ssize_t)preface.length)
        die("preface: %s", strerror(errno));
    if (fcntl(c->fd, F_SETFL, O_NONBLOCK)) die("nonblocking: %s", strerror(errno));
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &e);
    c->wants_write = 0;
    connects++;
}

static void close_connection(struct connection *c) {
    close(c->fd);
    c->fd = -1;
}

static void finish(struct connection *c) {
    if (is_rewritten) {
        if (!memmem(c->rewritten, c->at, answer_words.data, answer_words.length)) die("the answer lacks the model's words");
    } else if (c->at != expected_bytes) die("answer of %llu bytes, expected %llu", (unsigned long long)c->at, (unsigned long long)expected_bytes);
    if (c->sent < request.length) die("answered before the request was sent");
    last_finished = now_ns();
    sample(&whole, last_finished - c->began);
    chunks += c->body.chunks;
    finished++;
    c->busy = 0;
    if (c->closes) {
        close_connection(c);
        open_connection(c);
    }
    begin(c);
}

static void take_head(struct connection *c) {
    size_t n;
    int count, status = 0;
    const char *value;
    if (sscanf(c->head, "HTTP/1.%*d %d", &status) != 1 || status != 200)
        die("answered %.*s", (int)(c->head_length < 600 ? c->head_length : 600), c->head);
    value = header(c->head, c->head_length, "connection", &n, &count);
    c->closes = value && n >= 5 && !strncasecmp(value, "close", 5);
    body_start(&c->body, c->head, c->head_length, UNTIL_CLOSE);
    if (c->body.framing == UNTIL_CLOSE) c->closes = 1;
    c->reading_body = 1;
}

static void take(struct connection *c, const char *data, size_t length) {
    while (length) {
        if (!c->busy) die("bytes after the answer");
        size_t used = 0;
        if (!c->reading_body) {
            size_t before = c->head_length, room = HEAD_BYTES - 1 - before, n = length < room ? length : room;
            memcpy(c->head + before, data, n);
            size_t head = head_length(c->head, before + n);
            if (!head && n < length) die("head too large");
            c->head_length = head ? head : before + n;
            used = c->head_length - before;
            c->head[c->head_length] = 0;
            if (head) take_head(c);
        } else {
            const char *payload = NULL;
            size_t n;
            used = body_take(&c->body, data, length, &payload, &n);
            verify(c, payload, n);
        }
        data += used;
        length -= used;
        if (c->reading_body && c->body.state == BODY_BAD) die("bad chunk");
        if (c->reading_body && c->body.state == BODY_DONE) {
            if (length) die("bytes after the answer");
            finish(c);
        }
    }
}

static void readable(struct connection *c) {
    ssize_t n = recv(c->fd, in, IN_BYTES, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n > 0) {
        reads++;
        take(c, in, (size_t)n);
    } else if (n == 0 && c->busy && c->reading_body && c->body.framing == UNTIL_CLOSE) {
        finish(c);
    } else if (c->busy) {
        die("connection lost in the middle of an answer: %s", n ? strerror(errno) : "closed");
    } else {
        close_connection(c); /* an idle one, after its last answer */
    }
}

/* -- the run ----------------------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_percentiles(const char *name, struct samples *s) {
    static const struct { const char *name; double part; } marks[] = {{"p50", .5}, {"p90", .9}, {"p99", .99}, {"max", 1}};
    qsort(s->us, s->count, sizeof *s->us, by_size);
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        size_t at = (size_t)(marks[i].part * (double)s->count);
        if (at >= s->count && s->count) at = s->count - 1;
        printf(", \"%s_%s_us\": %.2f", name, marks[i].name, s->count ? s->us[at] : 0.0);
    }
}

int main(int argc, char **argv) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const char *preface_file = option(argc, argv, "preface", "");
    if (*preface_file) preface = read_file(preface_file);
    request = read_file(option(argc, argv, "request", NULL));
    answer_body = read_file(option(argc, argv, "answer-body", NULL));
    answer_words = read_file(option(argc, argv, "answer-words", NULL));
    is_rewritten = atoi(option(argc, argv, "rewritten", "0"));
    event_template = read_file(option(argc, argv, "event", NULL));
    index_at = strtoul(option(argc, argv, "index-at", NULL), NULL, 10);
    stamp_at = strtoul(option(argc, argv, "stamp-at", NULL), NULL, 10);
    events_expected = strtoull(option(argc, argv, "events", "0"), NULL, 10);
    expected_bytes = events_expected ? events_expected * event_template.length : answer_body.length;
    port = atoi(option(argc, argv, "port", NULL));
    most = strtoull(option(argc, argv, "most", NULL), NULL, 10);
    int count = atoi(option(argc, argv, "connections", NULL));
    alarm((unsigned)atoi(option(argc, argv, "deadline", NULL)));
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct connection *all = calloc((size_t)count, sizeof *all);
    if (!all) die("out of memory");
    for (int i = 0; i < count; i++) open_connection(&all[i]);
    uint64_t start = now_ns();
    stop_at = start + (uint64_t)(atof(option(argc, argv, "seconds", NULL)) * 1e9);
    for (int i = 0; i < count; i++) begin(&all[i]);
    while (finished < begun) {
        struct epoll_event events[256];
        int n = epoll_wait(poll_fd, events, 256, -1);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) push_request(c);
            if (events[i].events & ~(uint32_t)EPOLLOUT) readable(c);
        }
    }
    if (!finished) die("no request was sent");
    printf("{\"responses\": %llu, \"seconds\": %.6f, \"bytes\": %llu, \"events\": %llu, \"chunks\": %llu, \"reads\": %llu, \"connects\": %llu",
           (unsigned long long)finished, (double)(last_finished - start) / 1e9, (unsigned long long)received,
           (unsigned long long)(finished * events_expected), (unsigned long long)chunks, (unsigned long long)reads,
           (unsigned long long)connects);
    print_percentiles("whole", &whole);
    print_percentiles("first", &first);
    print_percentiles("delay", &delay);
    printf("}\n");
    return 0;
}
