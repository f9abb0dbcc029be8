/* Sinks that do nothing, with tables of all sorts: what is defined when this is compiled says which. */
#include "seepmeter-plugin.h"

#ifndef NAME
#define NAME "table"
#endif
#ifndef KIND
#define KIND SEEPMETER_KIND_SINK
#endif
#ifndef SIZE
#define SIZE sizeof table
#endif
#ifndef ENTRY
#define ENTRY seepmeter_plugin_v1
#endif
#ifndef MINOR
#define MINOR SEEPMETER_MINOR
#endif

static int32_t create(const struct seepmeter_instance_host *host, void **instance)
{
    (void)host;
    *instance = 0;
    return 0;
}

__attribute__((unused)) static int32_t write_record(void *instance, const struct seepmeter_record *record)
{
    (void)instance;
    (void)record;
    return 0;
}

__attribute__((unused)) static void destroy(void *instance) { (void)instance; }

#ifdef UNDEFINED
extern void nobody_defines_this(void);
void calls_what_nobody_defines(void) { nobody_defines_this(); }
#endif

#ifndef ABOUT
#define ABOUT "does nothing"
#endif
/* Of the same name in every library, and seen by the dynamic linker. */
SEEPMETER_EXPORT const uint8_t about_text[] = ABOUT;

/* As a later version of the ABI might have it. */
struct later {
    struct seepmeter_plugin plugin;
    int32_t (*more)(void *instance);
    uint64_t still_more;
};

struct later_option {
    struct seepmeter_option option;
    struct seepmeter_bytes unit;
};

static const struct later_option options[] = {
    { { SEEPMETER_TEXT("one"), SEEPMETER_TEXT("text"), SEEPMETER_TEXT("The first."),
        SEEPMETER_TEXT("a"), 0, 0 }, SEEPMETER_TEXT("x") },
    { { SEEPMETER_TEXT("two"), SEEPMETER_TEXT("number"), SEEPMETER_TEXT("The second."),
        { 0, 0 }, 1, 0 }, SEEPMETER_TEXT("y") },
};

static const struct later table = {
    .plugin = {
        .struct_size = SIZE,
        .kind = KIND,
        .minor = MINOR,
        .name = SEEPMETER_TEXT(NAME),
        .version = SEEPMETER_TEXT("0.9"),
        .about = { about_text, sizeof about_text - 1 },
#ifdef OPTIONS
        .options = &options[0].option,
        .option_count = OPTIONS,
        .option_size = sizeof options[0],
#endif
        .create = create,
#ifndef NO_WRITE
        .write = write_record,
#endif
#ifndef NO_DESTROY
        .destroy = destroy,
#endif
    },
    .more = 0,
    .still_more = 7,
};

SEEPMETER_EXPORT const struct seepmeter_plugin *ENTRY(const struct seepmeter_host *host)
{
    (void)host;
    (void)options;
#ifdef REFUSE
    return 0;
#elif defined UNALIGNED
    static char room[sizeof table + 1];
    for (unsigned long i = 0; i < sizeof table; i++)
        room[i + 1] = ((const char *)&table)[i];
    return (const void *)(room + 1);
#else
    return &table.plugin;
#endif
}
