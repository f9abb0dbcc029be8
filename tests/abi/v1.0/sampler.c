/* A sampler of the tests; in=garbage makes its looks give what do=WHAT says. */
#define _GNU_SOURCE
#include "misbehave.h"

static int32_t start(void *instance, const struct seepmeter_target *target)
{
    struct plugin *self = instance;
    const struct seepmeter_instance_host *host = self->host;
    self->subject = target->subject;
    int32_t code = host->metric(host->context, bytes("looks"), SEEPMETER_UNIT_COUNT,
                                bytes("looks taken"), &self->metric);
    if (code != 0)
        return code;
    struct seepmeter_attr attr = { bytes("n"), bytes(""), 5, 1 };
    struct seepmeter_subject subject = {
        .size = sizeof subject, .kind = SEEPMETER_RECORD_SUBJECT, .parent = target->subject,
        .what = bytes("part"), .name = bytes("\xff\x1b part"), .attrs = &attr, .attr_count = 1,
    };
    code = host->subject(host->context, &subject, &self->mine);
    return code != 0 ? code : enter(self, "start");
}

static void garbage(struct plugin *self)
{
    const struct seepmeter_instance_host *host = self->host;
    void *context = host->context;
    struct seepmeter_point point = { self->subject, self->metric, 1 };
    struct seepmeter_bytes nowhere = { NULL, 5 };
    struct seepmeter_subject subject = {
        .size = sizeof subject, .kind = SEEPMETER_RECORD_SUBJECT, .parent = self->subject,
        .what = bytes("part"), .name = bytes("p"),
    };
    struct seepmeter_event event = {
        .size = sizeof event, .kind = SEEPMETER_RECORD_EVENT, .t = host->now(context),
        .what = bytes("strange"), .subject = SEEPMETER_NONE, .sampler = 99,
    };
    uint32_t id[2];
    if (is(self, "undefined-subject")) {
        point.subject = 4711;
        host->points(context, &point, 1);
    } else if (is(self, "undefined-metric")) {
        point.metric = 4711;
        host->points(context, &point, 1);
    } else if (is(self, "null-points")) {
        host->points(context, NULL, 3);
    } else if (is(self, "absurd-points")) {
        host->points(context, &point, UINT64_MAX / 2);
    } else if (is(self, "many-points")) {
        host->points(context, &point, (uint64_t)1 << 40);
    } else if (is(self, "unaligned-points")) {
        host->points(context, (const void *)((const char *)&point + 1), 1);
    } else if (is(self, "unknown-unit")) {
        host->metric(context, bytes("m"), 77, bytes("h"), id);
    } else if (is(self, "bad-name")) {
        host->metric(context, bytes("m\xff\x1b"), SEEPMETER_UNIT_BYTES, bytes("h"), id);
    } else if (is(self, "no-name")) {
        host->metric(context, bytes(""), SEEPMETER_UNIT_BYTES, bytes("h"), id);
    } else if (is(self, "name-at-null")) {
        host->metric(context, nowhere, SEEPMETER_UNIT_BYTES, bytes("h"), id);
    } else if (is(self, "no-place")) {
        host->metric(context, bytes("m"), SEEPMETER_UNIT_BYTES, bytes("h"), NULL);
    } else if (is(self, "unaligned-place")) {
        host->metric(context, bytes("m"), SEEPMETER_UNIT_BYTES, bytes("h"),
                     (void *)((char *)id + 1));
    } else if (is(self, "subject-at-null")) {
        host->subject(context, NULL, id);
    } else if (is(self, "subject-of-size-0")) {
        subject.size = 0;
        host->subject(context, &subject, id);
    } else if (is(self, "subject-of-other-kind")) {
        subject.kind = SEEPMETER_RECORD_FOOTER;
        host->subject(context, &subject, id);
    } else if (is(self, "undefined-parent")) {
        subject.parent = 4711;
        host->subject(context, &subject, id);
    } else if (is(self, "bad-what")) {
        subject.what = bytes("\xc3(");
        host->subject(context, &subject, id);
    } else if (is(self, "attrs-at-null")) {
        subject.attr_count = 3;
        host->subject(context, &subject, id);
    } else if (is(self, "absurd-attrs")) {
        struct seepmeter_attr attr = { bytes("n"), bytes(""), 5, 1 };
        subject.attrs = &attr;
        subject.attr_count = UINT64_MAX;
        host->subject(context, &subject, id);
    } else if (is(self, "absurd-text")) {
        struct seepmeter_bytes name = { (const uint8_t *)"p", (uint64_t)1 << 50 };
        subject.name = name;
        host->subject(context, &subject, id);
    } else if (is(self, "event-at-null")) {
        host->event(context, NULL);
    } else if (is(self, "event-of-size-0")) {
        event.size = 0;
        host->event(context, &event);
    } else if (is(self, "event-of-undefined-subject")) {
        event.subject = 4711;
        host->event(context, &event);
    } else if (is(self, "event-to-come")) {
        event.t = UINT64_MAX;
        host->event(context, &event);
    } else if (is(self, "event")) {
        host->event(context, &event);
    } else if (is(self, "larger-event")) {
        struct { struct seepmeter_event event; uint64_t more; } larger = { event, 5 };
        larger.event.size = sizeof larger;
        host->event(context, &larger.event);
    } else if (is(self, "absurd-held")) {
        host->held(context, UINT64_MAX);
    }
}

static int32_t sample(void *instance)
{
    struct plugin *self = instance;
    int32_t code = enter(self, "sample");
    if (code != 0)
        return code;
    if (strcmp(self->in, "garbage") == 0)
        garbage(self);
    struct seepmeter_point points[2] = {
        { self->subject, self->metric, 1 }, { self->mine, self->metric, -1 },
    };
    return self->host->points(self->host->context, points, 2);
}

static int32_t wait_for(void *instance, uint64_t timeout, int32_t wake_fd)
{
    (void)timeout;
    (void)wake_fd;
    struct plugin *self = instance;
    if (strcmp(self->in, "wait") == 0)
        return enter(self, "wait");
    return SEEPMETER_PLEASE_SLEEP;
}

static const struct seepmeter_plugin plugin = {
    .struct_size = sizeof plugin,
    .kind = SEEPMETER_KIND_SAMPLER,
    .disturbs = 1,
    .name = SEEPMETER_TEXT("misbehave"),
    .version = SEEPMETER_TEXT("1.0"),
    .about = SEEPMETER_TEXT("does wrong what it is told to"),
    .create = create,
    .configure = configure,
    .ready = ready,
    .start = start,
    .sample = sample,
    .wait = wait_for,
    .stop = stop,
    .destroy = destroy,
};

SEEPMETER_EXPORT const struct seepmeter_plugin *seepmeter_plugin_v1(const struct seepmeter_host *host)
{
    return host->struct_size >= sizeof *host ? &plugin : NULL;
}
