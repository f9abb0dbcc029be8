/* What a plugin of the tests does wrong, and where: the options in=CALL and do=WHAT. */
#ifndef MISBEHAVE_H
#define MISBEHAVE_H

#include "seepmeter-plugin.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct plugin {
    const struct seepmeter_instance_host *host;
    char in[32], what[32], log[512];
    uint32_t subject, metric, mine;
    uint64_t calls;
};

static inline struct seepmeter_bytes bytes(const char *text)
{
    struct seepmeter_bytes made = { (const uint8_t *)text, strlen(text) };
    return made;
}

static inline struct seepmeter_metric count_of(const char *name)
{
    struct seepmeter_metric made = {
        .struct_size = sizeof made, .record_kind = SEEPMETER_RECORD_METRIC,
        .unit = SEEPMETER_UNIT_COUNT, .kind = SEEPMETER_METRIC_COUNTER, .name = bytes(name),
        .subject_kind = bytes("process"), .help = bytes("how many"),
    };
    return made;
}

static inline int is(const struct plugin *self, const char *what)
{
    return strcmp(self->what, what) == 0;
}

static inline int32_t say(struct plugin *self, int32_t code, const char *text)
{
    self->host->message(self->host->context, SEEPMETER_LEVEL_ERROR, bytes(text));
    return code;
}

static void *stray(void *plugin)
{
    struct plugin *self = plugin;
    const struct seepmeter_instance_host *host = self->host;
    host->message(host->context, SEEPMETER_LEVEL_WARNING, bytes("from another thread"));
    host->get_extension(host->context, "seepmeter.none/1");
    host->now(host->context);
    if (host->points(host->context, NULL, 0) == 0)
        abort();
    return NULL;
}

static void *linger(void *nothing)
{
    struct timespec time = { 0, 100000 };
    for (;;)
        nanosleep(&time, NULL);
    return nothing;
}

/* Notes the call, and misbehaves where this is the call to misbehave in. */
static inline int32_t enter(struct plugin *self, const char *call)
{
    const struct seepmeter_instance_host *host = self->host;
    if (self->log[0]) {
        FILE *log = fopen(self->log, "a");
        fprintf(log, "%s %d\n", call, (int)gettid());
        fclose(log);
    }
    if (strcmp(self->in, call) != 0)
        return 0;
    self->calls++;
    if (is(self, "sleep")) {
        struct timespec time = { 30, 0 };
        nanosleep(&time, NULL);
    } else if (is(self, "sleep-10")) {
        struct timespec time = { 10, 0 };
        nanosleep(&time, NULL);
    } else if (is(self, "fail")) {
        return say(self, -EIO, "it will not");
    } else if (is(self, "mute")) {
        return -ENOSPC;
    } else if (is(self, "positive")) {
        return 7;
    } else if (is(self, "one")) {
        return 1;
    } else if (is(self, "least")) {
        return INT32_MIN;
    } else if (is(self, "gone")) {
        return SEEPMETER_GONE;
    } else if (is(self, "skip")) {
        return say(self, SEEPMETER_SKIP, "not now");
    } else if (is(self, "pipe")) {
        return -EPIPE;
    } else if (is(self, "dirty")) {
        return say(self, -EIO, "bad \xff\xfe bytes \x1b[31mred\x07\nand a line");
    } else if (is(self, "long")) {
        char *text = malloc(100001);
        memset(text, 'x', 100000);
        text[100000] = '\0';
        int32_t code = say(self, -EIO, text);
        free(text);
        return code;
    } else if (is(self, "null-message")) {
        struct seepmeter_bytes text = { NULL, 50 };
        host->message(host->context, SEEPMETER_LEVEL_ERROR, text);
        return -EIO;
    } else if (is(self, "warn")) {
        host->message(host->context, SEEPMETER_LEVEL_WARNING, bytes("mind \x1b[2Jthis"));
    } else if (is(self, "stray")) {
        pthread_t thread;
        pthread_create(&thread, NULL, stray, self);
        pthread_join(thread, NULL);
    } else if (is(self, "linger")) {
        pthread_t thread;
        pthread_create(&thread, NULL, linger, NULL);
        pthread_detach(thread);
    } else if (is(self, "null-context")) {
        struct seepmeter_metric metric = count_of("m");
        if (host->metric(NULL, &metric, &self->mine) == 0)
            abort();
    } else if (is(self, "metric")) {
        struct seepmeter_metric metric = count_of("m");
        host->metric(host->context, &metric, &self->mine);
    } else if (is(self, "points")) {
        struct seepmeter_point point = { self->subject, self->metric, 1 };
        host->points(host->context, &point, 1);
    } else if (is(self, "partial")) {
        host->partial(host->context);
    } else if (is(self, "paused")) {
        host->paused(host->context, 1);
    } else if (is(self, "keep-alive")) {
        host->keep_alive(host->context, bytes("it likes it here"));
    }
    return 0;
}

static int32_t create(const struct seepmeter_instance_host *host, void **instance)
{
    struct plugin *self = calloc(1, sizeof *self);
    if (!self)
        return -ENOMEM;
    self->host = host;
    self->subject = self->metric = SEEPMETER_NONE;
#ifdef IN_CREATE
    strcpy(self->in, "create");
    strcpy(self->what, IN_CREATE);
#endif
    *instance = self;
    int32_t code = enter(self, "create");
    if (code != 0)
        free(self);
    return code;
}

static inline int copy(char *to, size_t room, struct seepmeter_bytes value)
{
    if (value.length >= room)
        return 0;
    memcpy(to, value.data, value.length);
    to[value.length] = '\0';
    return 1;
}

static int32_t configure(void *instance, struct seepmeter_bytes key, struct seepmeter_bytes value)
{
    struct plugin *self = instance;
    int done = 0;
    if (key.length == 2 && memcmp(key.data, "in", 2) == 0)
        done = copy(self->in, sizeof self->in, value);
    else if (key.length == 2 && memcmp(key.data, "do", 2) == 0)
        done = copy(self->what, sizeof self->what, value);
    else if (key.length == 3 && memcmp(key.data, "log", 3) == 0)
        done = copy(self->log, sizeof self->log, value);
    if (!done)
        return say(self, -EINVAL, "the options are in, do and log");
    return enter(self, "configure");
}

static int32_t ready(void *instance) { return enter(instance, "ready"); }
static int32_t stop(void *instance) { return enter(instance, "stop"); }

static void destroy(void *instance)
{
    enter(instance, "destroy");
    free(instance);
}

#endif
