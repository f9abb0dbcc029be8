/* A sink of the tests. */
#define _GNU_SOURCE
#include "misbehave.h"

static int32_t write_record(void *instance, const struct seepmeter_record *record)
{
    struct plugin *self = instance;
#ifdef SLOW
    /* A second a sample, so many times. */
    if (record->kind == SEEPMETER_RECORD_SAMPLE && (int64_t)self->calls < SLOW) {
        struct timespec time = { 1, 0 };
        self->calls++;
        nanosleep(&time, NULL);
    }
    if (record->kind == SEEPMETER_RECORD_EVENT) {
        const struct seepmeter_event *event = (const void *)record;
        if (event->what.length == 4 && memcmp(event->what.data, "lost", 4) == 0 && self->log[0]) {
            FILE *log = fopen(self->log, "a");
            fprintf(log, "lost %lld of %.*s\n", (long long)event->value, (int)event->text.length,
                    (const char *)event->text.data);
            fclose(log);
        }
    }
    return 0;
#else
    if (record->size < sizeof *record)
        return say(self, -EINVAL, "a record without a size");
    return enter(self, "write");
#endif
}

static int32_t flush(void *instance) { return enter(instance, "flush"); }

static const struct seepmeter_plugin plugin = {
    .struct_size = sizeof plugin,
    .kind = SEEPMETER_KIND_SINK,
    .patience = 1000000, /* as a live view has it, so that failures are seen soon */
    .name = SEEPMETER_TEXT("misbehave"),
    .version = SEEPMETER_TEXT("1.0"),
    .about = SEEPMETER_TEXT("does wrong what it is told to"),
    .create = create,
    .configure = configure,
    .ready = ready,
    .write = write_record,
    .flush = flush,
    .stop = stop,
    .destroy = destroy,
};

SEEPMETER_EXPORT const struct seepmeter_plugin *seepmeter_plugin_v1(const struct seepmeter_host *host)
{
    return host->struct_size >= sizeof *host ? &plugin : NULL;
}
