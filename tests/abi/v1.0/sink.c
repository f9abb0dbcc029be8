/* A sink of the tests. */
#define _GNU_SOURCE
#include "misbehave.h"

static int32_t write_record(void *instance, const struct seepmeter_record *record)
{
    struct plugin *self = instance;
#ifdef SLOW
    /* A second a sample, so many times. */
    if (record->record_kind == SEEPMETER_RECORD_SAMPLE && (int64_t)self->calls < SLOW) {
        struct timespec time = { 1, 0 };
        self->calls++;
        nanosleep(&time, NULL);
    }
    if (record->record_kind == SEEPMETER_RECORD_EVENT) {
        const struct seepmeter_event *event = (const void *)record;
        if (event->kind.length == 7 && memcmp(event->kind.data, "dropped", 7) == 0 && self->log[0]) {
            FILE *log = fopen(self->log, "a");
            fprintf(log, "dropped %lld of %.*s\n", (long long)event->number, (int)event->text.length,
                    (const char *)event->text.data);
            fclose(log);
        }
    }
    return 0;
#else
    if (record->struct_size < sizeof *record)
        return say(self, -EINVAL, "a record without a size");
    return enter(self, "write");
#endif
}

static int32_t flush(void *instance) { return enter(instance, "flush"); }

static int32_t conclude(void *instance, struct seepmeter_bytes json)
{
    struct plugin *self = instance;
    if (json.length < 2 || json.data[0] != '{' || json.data[json.length - 1] != '}')
        return say(self, -EINVAL, "a verdict that is no JSON object");
    return enter(self, "conclude");
}

static const struct seepmeter_plugin plugin = {
    .struct_size = sizeof plugin,
    .kind = SEEPMETER_KIND_SINK,
    .max_batch_delay = 1000000, /* as a live view has it, so that failures are seen soon */
    .name = SEEPMETER_TEXT("misbehave"),
    .version = SEEPMETER_TEXT("1.0"),
    .about = SEEPMETER_TEXT("does wrong what it is told to"),
    .create = create,
    .configure = configure,
    .ready = ready,
    .write = write_record,
    .flush = flush,
    .conclude = conclude,
    .stop = stop,
    .destroy = destroy,
};

SEEPMETER_EXPORT const struct seepmeter_plugin *seepmeter_plugin_v1(const struct seepmeter_host *host)
{
    return host->struct_size >= sizeof *host ? &plugin : NULL;
}
