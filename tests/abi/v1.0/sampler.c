/* A sampler of the tests; in=garbage makes its samples emit what do=WHAT says. */
#define _GNU_SOURCE
#include "misbehave.h"

static int32_t start(void *instance)
{
    struct plugin *self = instance;
    struct seepmeter_metric metric = count_of("ticks");
    int32_t code = self->host->metric(self->host->context, &metric, &self->metric);
    return code != 0 ? code : enter(self, "start");
}

static struct seepmeter_subject part_of(uint32_t parent)
{
    struct seepmeter_subject made = {
        .struct_size = sizeof made, .record_kind = SEEPMETER_RECORD_SUBJECT, .parent = parent,
        .kind = bytes("part"), .name = bytes("\xff\x1b part"),
    };
    return made;
}

/* It remembers the last target alone. */
static int32_t add_target(void *instance, const struct seepmeter_target *target)
{
    struct plugin *self = instance;
    self->subject = target->subject;
    struct seepmeter_attribute attribute = { bytes("n"), bytes(""), 5, 1 };
    struct seepmeter_subject subject = part_of(target->subject);
    subject.attributes = &attribute;
    subject.attribute_count = 1;
    int32_t code = self->host->subject(self->host->context, &subject, &self->mine);
    return code != 0 ? code : enter(self, "add_target");
}

static int32_t remove_target(void *instance, uint32_t subject)
{
    struct plugin *self = instance;
    if (self->subject == subject)
        self->subject = SEEPMETER_NONE;
    return enter(self, "remove_target");
}

/* Emits an event of this kind, and says what the host says of it. */
static int32_t emit(struct plugin *self, const char *kind, uint32_t subject)
{
    const struct seepmeter_instance_host *host = self->host;
    struct seepmeter_event event = {
        .struct_size = sizeof event, .record_kind = SEEPMETER_RECORD_EVENT,
        .t = host->now(host->context), .kind = bytes(kind), .subject = subject, .sampler = 99,
    };
    if (is(self, "event-of-size-0"))
        event.struct_size = 0;
    if (is(self, "event-to-come"))
        event.t = UINT64_MAX;
    if (is(self, "event-of-other-kind"))
        event.record_kind = SEEPMETER_RECORD_METRIC;
    if (is(self, "larger-event")) {
        struct { struct seepmeter_event event; uint64_t more; } larger = { event, 5 };
        larger.event.struct_size = sizeof larger;
        return host->event(host->context, &larger.event);
    }
    return host->event(host->context, is(self, "event-at-null") ? NULL : &event);
}

static void bad_metric(struct plugin *self)
{
    struct seepmeter_metric metric = count_of("m");
    struct seepmeter_bytes nowhere = { NULL, 5 };
    uint32_t id[2], *place = id;
    if (is(self, "unknown-unit"))
        metric.unit = 77;
    else if (is(self, "unknown-metric-kind"))
        metric.kind = 77;
    else if (is(self, "bad-name"))
        metric.name = bytes("m\xff\x1b");
    else if (is(self, "no-name"))
        metric.name = bytes("");
    else if (is(self, "name-at-null"))
        metric.name = nowhere;
    else if (is(self, "no-subject-kind"))
        metric.subject_kind = bytes("");
    else if (is(self, "no-place"))
        place = NULL;
    else if (is(self, "unaligned-place"))
        place = (void *)((char *)id + 1);
    else
        return;
    self->host->metric(self->host->context, &metric, place);
}

static void bad_points(struct plugin *self)
{
    const struct seepmeter_instance_host *host = self->host;
    struct seepmeter_point point = { self->subject, self->metric, 1 };
    if (is(self, "undefined-subject")) {
        point.subject = 4711;
        host->points(host->context, &point, 1);
    } else if (is(self, "undefined-metric")) {
        point.metric = 4711;
        host->points(host->context, &point, 1);
    } else if (is(self, "null-points")) {
        host->points(host->context, NULL, 3);
    } else if (is(self, "absurd-points")) {
        host->points(host->context, &point, UINT64_MAX / 2);
    } else if (is(self, "many-points")) {
        host->points(host->context, &point, (uint64_t)1 << 40);
    } else if (is(self, "unaligned-points")) {
        host->points(host->context, (const void *)((const char *)&point + 1), 1);
    }
}

static void bad_subject(struct plugin *self)
{
    const struct seepmeter_instance_host *host = self->host;
    struct seepmeter_subject subject = part_of(self->subject);
    struct seepmeter_attribute attribute = { bytes("n"), bytes(""), 5, 1 };
    struct seepmeter_bytes absurd = { (const uint8_t *)"p", (uint64_t)1 << 50 };
    uint32_t id;
    if (is(self, "subject-at-null")) {
        host->subject(host->context, NULL, &id);
        return;
    }
    if (is(self, "subject-of-size-0")) {
        subject.struct_size = 0;
    } else if (is(self, "subject-of-other-kind")) {
        subject.record_kind = SEEPMETER_RECORD_FOOTER;
    } else if (is(self, "undefined-parent")) {
        subject.parent = 4711;
    } else if (is(self, "bad-kind")) {
        subject.kind = bytes("\xc3(");
    } else if (is(self, "no-kind")) {
        subject.kind = bytes("");
    } else if (is(self, "attributes-at-null")) {
        subject.attribute_count = 3;
    } else if (is(self, "absurd-attributes")) {
        subject.attributes = &attribute;
        subject.attribute_count = UINT64_MAX;
    } else if (is(self, "absurd-text")) {
        subject.name = absurd;
    } else {
        return;
    }
    host->subject(host->context, &subject, &id);
}

/* Defines an image, a frame in it and a stack of that, with what do=WHAT says wrong. */
static void code(struct plugin *self)
{
    const struct seepmeter_instance_host *host = self->host;
    uint32_t id[3] = { SEEPMETER_NONE, SEEPMETER_NONE, SEEPMETER_NONE };
    struct seepmeter_image image = {
        .struct_size = sizeof image, .record_kind = SEEPMETER_RECORD_IMAGE, .path = bytes("/lib/x.so"),
        .build_id = bytes(is(self, "bad-build-id") ? "c0ffee it is not" : "c0ffee"),
    };
    if (host->image(host->context, &image, &id[0]) != 0)
        return;
    struct seepmeter_inlined_call inlined = { bytes("small"), { NULL, 0 }, 7, 0 };
    struct seepmeter_frame frame = {
        .struct_size = sizeof frame, .record_kind = SEEPMETER_RECORD_FRAME,
        .image = is(self, "undefined-image") ? 4711 : id[0], .address = 0x1000,
        .function = bytes("large"), .inlined = &inlined, .inlined_count = 1,
    };
    if (is(self, "inlined-at-null"))
        frame.inlined = NULL;
    if (host->frame(host->context, &frame, &id[1]) != 0)
        return;
    uint32_t frames[2] = { id[1], is(self, "undefined-frame") ? 4711 : id[1] };
    struct seepmeter_stack stack = {
        .struct_size = sizeof stack, .record_kind = SEEPMETER_RECORD_STACK,
        .frames = is(self, "frames-at-null") ? NULL : frames, .frame_count = 2,
        .truncated = bytes("that is enough"),
    };
    host->stack(host->context, &stack, &id[2]);
}

static void garbage(struct plugin *self)
{
    bad_metric(self);
    bad_points(self);
    bad_subject(self);
    if (strstr(self->what, "event"))
        emit(self, "strange", is(self, "event-of-undefined-subject") ? 4711 : SEEPMETER_NONE);
    if (is(self, "status-of-none"))
        emit(self, "exited", self->mine);
    if (is(self, "no-event-kind"))
        emit(self, "", SEEPMETER_NONE);
    if (is(self, "bad-build-id") || is(self, "undefined-image") || is(self, "inlined-at-null")
        || is(self, "undefined-frame") || is(self, "frames-at-null") || is(self, "stack"))
        code(self);
    if (is(self, "absurd-paused"))
        self->host->paused(self->host->context, UINT64_MAX);
    if (is(self, "partial"))
        self->host->partial(self->host->context);
    /* The first sample ends the part; the end is told twice. */
    if ((is(self, "twice-gone") || is(self, "point-of-gone")) && self->calls++ == 0
        && (emit(self, "gone", self->mine) != 0 || emit(self, "gone", self->mine) != 0))
        abort();
}

static int32_t sample(void *instance)
{
    struct plugin *self = instance;
    int32_t code = enter(self, "sample");
    if (code != 0)
        return code;
    if (strcmp(self->in, "garbage") == 0)
        garbage(self);
    if (self->subject == SEEPMETER_NONE)
        return SEEPMETER_GONE;
    struct seepmeter_point points[2] = {
        { self->subject, self->metric, 1 }, { self->mine, self->metric, -1 },
    };
    /* Without its part, where that has ended. */
    int parts = is(self, "twice-gone") ? 1 : 2;
    return self->host->points(self->host->context, points, parts);
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
    .pauses = 1,
    .name = SEEPMETER_TEXT("misbehave"),
    .version = SEEPMETER_TEXT("1.0"),
    .about = SEEPMETER_TEXT("does wrong what it is told to"),
    .create = create,
    .configure = configure,
    .ready = ready,
    .start = start,
    .add_target = add_target,
    .remove_target = remove_target,
    .sample = sample,
    .wait = wait_for,
    .stop = stop,
    .destroy = destroy,
};

SEEPMETER_EXPORT const struct seepmeter_plugin *seepmeter_plugin_v1(const struct seepmeter_host *host)
{
    return host->struct_size >= sizeof *host ? &plugin : NULL;
}
