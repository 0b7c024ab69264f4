/*
 * The provider of the bench: swallows a request body, checks length and credential, answers JSON or events.
 *
 *   POST /v1/json/<body bytes>[anything]                    the prepared answer; 0 bytes: a body of any length
 *   POST /v1/sse/<body bytes>/<events>/<interval us>        one chunk per event; 0 us: as fast as taken
 *
 * A PROXY protocol v2 header at a connection's start is skipped, whatever it holds.
 * Every event is written by a write of its own and stamped with the monotonic clock. One thread, epoll, plain and
 * (with BENCH_TLS and --certificate, --private-key) TLS. Prints {"plain": port, "tls": port or 0}, runs until killed.
 */
#include "http.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>
#ifdef BENCH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#else
typedef void SSL;
#endif

#define MAX_CONNECTIONS 16384
#define IN_BYTES (64 * 1024)
#define OUT_BYTES 4096
#define PREFACE_BYTES 16 /* before what its length counts */
#define WOULD_BLOCK (-1)
#define GONE (-2)

enum phase { READ_HEAD, READ_BODY, WRITE_ANSWER, STREAM };

struct connection {
    int fd, slot; /* slot: place in the heap (paced) or in the hurry list (unpaced); -1 in neither */
    SSL *ssl;
    enum phase phase;
    int wants_write, has_begun;
    char *in;
    size_t in_length;
    struct body body;
    uint64_t body_bytes, expected_bytes;
    int is_stream;
    unsigned events, event;
    uint64_t interval_ns, due;
    const char *out; /* what is being written */
    size_t out_length, out_done;
    char buffer[OUT_BYTES];
};

static struct bytes answer, stream_head, event_template;
static size_t index_at, stamp_at;
static char credential[256];
static int poll_fd, timer_fd;
static struct connection *heap[MAX_CONNECTIONS], *hurry[MAX_CONNECTIONS];
static int heap_count, hurry_count;
static double phase_turns;

static const char REFUSED[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/* -- the heap of paced streams, earliest first ------------------------------------------------------------- */

static void heap_put(struct connection *c, int at) {
    heap[at] = c;
    c->slot = at;
}

static void heap_sift(int at) {
    struct connection *c = heap[at];
    while (at && heap[(at - 1) / 2]->due > c->due) {
        heap_put(heap[(at - 1) / 2], at);
        at = (at - 1) / 2;
    }
    for (int child; (child = 2 * at + 1) < heap_count; at = child) {
        if (child + 1 < heap_count && heap[child + 1]->due < heap[child]->due) child++;
        if (heap[child]->due >= c->due) break;
        heap_put(heap[child], at);
    }
    heap_put(c, at);
}

static void schedule(struct connection *c) {
    if (c->interval_ns) {
        heap_put(c, heap_count);
        heap_sift(heap_count++);
    } else {
        c->slot = hurry_count;
        hurry[hurry_count++] = c;
    }
}

static void unschedule(struct connection *c) {
    int at = c->slot;
    if (at < 0) return;
    c->slot = -1;
    if (c->interval_ns) {
        struct connection *last = heap[--heap_count];
        if (last == c) return;
        heap_put(last, at);
        heap_sift(at);
    } else {
        hurry[at] = hurry[--hurry_count];
        if (hurry[at] != c) hurry[at]->slot = at;
    }
}

/* -- bytes in and out -------------------------------------------------------------------------------------- */

static ssize_t take(struct connection *c, char *to, size_t room) {
    ssize_t n;
#ifdef BENCH_TLS
    if (c->ssl) {
        ERR_clear_error();
        n = SSL_read(c->ssl, to, (int)room);
        if (n > 0) return n;
        return SSL_get_error(c->ssl, (int)n) == SSL_ERROR_WANT_READ ? WOULD_BLOCK : GONE;
    }
#endif
    n = recv(c->fd, to, room, 0);
    if (n > 0) return n;
    return n < 0 && errno == EAGAIN ? WOULD_BLOCK : GONE;
}

static ssize_t give(struct connection *c, const char *from, size_t length) {
    ssize_t n;
#ifdef BENCH_TLS
    if (c->ssl) {
        ERR_clear_error();
        n = SSL_write(c->ssl, from, (int)length);
        if (n > 0) return n;
        return SSL_get_error(c->ssl, (int)n) == SSL_ERROR_WANT_WRITE ? WOULD_BLOCK : GONE;
    }
#endif
    n = send(c->fd, from, length, MSG_NOSIGNAL);
    if (n >= 0) return n;
    return errno == EAGAIN ? WOULD_BLOCK : GONE;
}

static void want_write(struct connection *c, int wanted) {
    if (c->wants_write == wanted) return;
    struct epoll_event e = {.events = EPOLLIN | (wanted ? (uint32_t)EPOLLOUT : 0u), .data.ptr = c};
    epoll_ctl(poll_fd, EPOLL_CTL_MOD, c->fd, &e);
    c->wants_write = wanted;
}

static void forget(struct connection *c) {
    unschedule(c);
#ifdef BENCH_TLS
    if (c->ssl) SSL_free(c->ssl);
#endif
    close(c->fd);
    free(c->in);
    free(c);
}

/* Write what is prepared: 1 all of it, WOULD_BLOCK (and wait for room), GONE. */
static int flush(struct connection *c) {
    while (c->out_done < c->out_length) {
        ssize_t n = give(c, c->out + c->out_done, c->out_length - c->out_done);
        if (n == GONE) return GONE;
        if (n == WOULD_BLOCK) {
            want_write(c, 1);
            return WOULD_BLOCK;
        }
        c->out_done += (size_t)n;
    }
    want_write(c, 0);
    return 1;
}

/* -- the answer -------------------------------------------------------------------------------------------- */

static void prepare_event(struct connection *c) {
    char *at = c->buffer;
    if (!c->event) at = (char *)mempcpy(at, stream_head.data, stream_head.length);
    at += sprintf(at, "%zx\r\n", event_template.length);
    memcpy(at, event_template.data, event_template.length);
    put_digits(at + index_at, INDEX_DIGITS, c->event);
    put_digits(at + stamp_at, STAMP_DIGITS, now_ns());
    at = (char *)mempcpy(at + event_template.length, "\r\n", 2);
    if (++c->event == c->events) at = (char *)mempcpy(at, "0\r\n\r\n", 5);
    c->out = c->buffer;
    c->out_length = (size_t)(at - c->buffer);
    c->out_done = 0;
}

static int read_requests(struct connection *c);

/* Send the next event of a stream that is due; 0, or GONE. The stream is in no list while it is written. */
static int next_event(struct connection *c) {
    unschedule(c);
    prepare_event(c);
    int done = flush(c);
    if (done != 1) return done == GONE ? GONE : 0;
    if (c->event == c->events) {
        c->phase = READ_HEAD;
        return read_requests(c);
    }
    c->due += c->interval_ns;
    schedule(c);
    return 0;
}

/* After a blocked write went through. */
static int written(struct connection *c) {
    if (c->phase == WRITE_ANSWER || c->event == c->events) {
        c->phase = READ_HEAD;
        return read_requests(c);
    }
    c->due += c->interval_ns;
    schedule(c);
    return 0;
}

static int start_answer(struct connection *c) {
    if (c->expected_bytes && c->body_bytes != c->expected_bytes) {
        give(c, REFUSED, sizeof REFUSED - 1);
        return GONE;
    }
    if (c->is_stream) {
        /* Streams that begin together must not tick together: each gets its own place in the interval. */
        phase_turns += 0.6180339887;
        phase_turns -= (int)phase_turns;
        c->phase = STREAM;
        c->event = 0;
        c->due = now_ns() + (uint64_t)(phase_turns * (double)c->interval_ns);
        schedule(c);
        return 0;
    }
    c->phase = WRITE_ANSWER;
    c->out = answer.data;
    c->out_length = answer.length;
    c->out_done = 0;
    int done = flush(c);
    if (done == 1) c->phase = READ_HEAD;
    return done == GONE ? GONE : 0;
}

static int start_request(struct connection *c, size_t length) {
    unsigned long long bytes, interval = 0;
    unsigned events = 0;
    size_t n;
    int count;
    const char *value = header(c->in, length, "authorization", &n, &count);
    int right = value && count == 1 && n == strlen(credential) && !memcmp(value, credential, n);
    c->is_stream = sscanf(c->in, "POST /v1/sse/%llu/%u/%llu HTTP/1.1\r\n", &bytes, &events, &interval) == 3 && events;
    if (!right || (!c->is_stream && sscanf(c->in, "POST /v1/json/%llu HTTP/1.1\r\n", &bytes) != 1)) {
        give(c, REFUSED, sizeof REFUSED - 1);
        return GONE;
    }
    c->expected_bytes = bytes;
    c->events = events;
    c->interval_ns = interval * 1000;
    c->body_bytes = 0;
    body_start(&c->body, c->in, length, BY_LENGTH);
    c->phase = READ_BODY;
    return 0;
}

/* Skip a PROXY protocol v2 header in front of everything else; 0 when more of it must come. */
static int begin(struct connection *c) {
    static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";
    size_t known = c->in_length < sizeof signature - 1 ? c->in_length : sizeof signature - 1, length = 0;
    if (!memcmp(c->in, signature, known)) {
        if (c->in_length < PREFACE_BYTES) return 0;
        length = PREFACE_BYTES + ((size_t)(unsigned char)c->in[14] << 8 | (unsigned char)c->in[15]);
        if (c->in_length < length) return 0;
    }
    memmove(c->in, c->in + length, c->in_length -= length);
    return c->has_begun = 1;
}

/* Take what is buffered as far as it goes; 0, or GONE. */
static int read_requests(struct connection *c) {
    size_t used = 0;
    int state = 0;
    if (!c->has_begun && !begin(c)) return 0;
    while (!state && (c->phase == READ_HEAD || c->phase == READ_BODY)) {
        if (c->phase == READ_HEAD) {
            size_t length = head_length(c->in + used, c->in_length - used);
            if (!length) break;
            memmove(c->in, c->in + used, c->in_length -= used);
            used = length;
            state = start_request(c, length);
        }
        while (!state && used < c->in_length && c->body.state < BODY_DONE) {
            const char *payload;
            size_t n;
            used += body_take(&c->body, c->in + used, c->in_length - used, &payload, &n);
            c->body_bytes += n;
        }
        if (c->body.state == BODY_BAD) state = GONE;
        if (c->body.state != BODY_DONE) break;
        if (!state) state = start_answer(c);
    }
    if (state) return GONE;
    memmove(c->in, c->in + used, c->in_length - used);
    c->in_length -= used;
    return c->in_length == IN_BYTES ? GONE : 0;
}

static int readable(struct connection *c) {
    for (;;) {
        ssize_t n = take(c, c->in + c->in_length, IN_BYTES - c->in_length);
        if (n == GONE) return GONE;
        if (n == WOULD_BLOCK) return 0;
        int short_read = !c->ssl && (size_t)n < IN_BYTES - c->in_length;
        c->in_length += (size_t)n;
        if (read_requests(c)) return GONE;
        if (short_read) return 0;
    }
}

/* -- listening --------------------------------------------------------------------------------------------- */

static int listen_on_loopback(int *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(fd, (void *)&address, size) || listen(fd, 4096) || getsockname(fd, (void *)&address, &size))
        die("listen: %s", strerror(errno));
    *port = ntohs(address.sin_port);
    return fd;
}

static void accept_all(int listener, void *tls) {
    for (int fd, one = 1; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        struct connection *c = calloc(1, sizeof *c);
        if (!c || !(c->in = malloc(IN_BYTES))) die("out of memory");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        c->fd = fd;
        c->slot = -1;
#ifdef BENCH_TLS
        if (tls) {
            c->ssl = SSL_new(tls);
            SSL_set_fd(c->ssl, fd);
            SSL_set_accept_state(c->ssl);
        }
#else
        (void)tls;
#endif
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &e);
    }
}

static void *tls_context(const char *certificate, const char *private_key) {
    if (!*certificate) return NULL;
#ifdef BENCH_TLS
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, private_key, SSL_FILETYPE_PEM) != 1)
        die("certificate or key cannot be used");
    return context;
#else
    (void)private_key;
    die("built without TLS");
#endif
}

static void serve(int plain, int tls, void *context) {
    struct epoll_event events[256], e = {.events = EPOLLIN, .data.ptr = &plain};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, plain, &e);
    e.data.ptr = &tls;
    if (tls >= 0) epoll_ctl(poll_fd, EPOLL_CTL_ADD, tls, &e);
    e.data.ptr = &timer_fd;
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, timer_fd, &e);
    for (;;) {
        struct itimerspec at = {0};
        if (heap_count) {
            at.it_value.tv_sec = (time_t)(heap[0]->due / 1000000000ull);
            at.it_value.tv_nsec = (long)(heap[0]->due % 1000000000ull);
        }
        timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
        int n = epoll_wait(poll_fd, events, 256, hurry_count ? 0 : -1);
        for (int i = 0; i < n; i++) {
            void *who = events[i].data.ptr;
            if (who == &plain) accept_all(plain, NULL);
            else if (who == &tls) accept_all(tls, context);
            else if (who != &timer_fd) {
                struct connection *c = who;
                int state = 0;
                if (events[i].events & EPOLLOUT && (state = flush(c)) == 1) state = written(c);
                if (state != GONE && events[i].events & ~(uint32_t)EPOLLOUT) state = readable(c);
                if (state == GONE) forget(c);
            }
        }
        for (uint64_t now = now_ns(); heap_count && heap[0]->due <= now;) {
            struct connection *c = heap[0];
            if (next_event(c) == GONE) forget(c);
        }
        for (int i = hurry_count - 1; i >= 0; i--) {
            struct connection *c = hurry[i];
            if (next_event(c) == GONE) forget(c);
        }
    }
}

int main(int argc, char **argv) {
    int plain_port, tls_port = 0, tls = -1;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    answer = read_file(option(argc, argv, "answer", NULL));
    stream_head = read_file(option(argc, argv, "stream-head", NULL));
    event_template = read_file(option(argc, argv, "event", NULL));
    if (stream_head.length + event_template.length + 64 > OUT_BYTES) die("event or head too large");
    index_at = strtoul(option(argc, argv, "index-at", NULL), NULL, 10);
    stamp_at = strtoul(option(argc, argv, "stamp-at", NULL), NULL, 10);
    snprintf(credential, sizeof credential, "Bearer %s", option(argc, argv, "key", NULL));
    void *context = tls_context(option(argc, argv, "certificate", ""), option(argc, argv, "private-key", ""));
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    int plain = listen_on_loopback(&plain_port);
    if (context) tls = listen_on_loopback(&tls_port);
    printf("{\"plain\": %d, \"tls\": %d}\n", plain_port, tls_port);
    fflush(stdout);
    serve(plain, tls, context);
}
