/*
 * The C face of a Seepmeter plugin. Made by cbindgen from crates/seepmeter-abi: change that instead.
 *
 * A plugin is a shared library that defines one function:
 *
 *     const struct seepmeter_plugin *seepmeter_plugin_v1(const struct seepmeter_host *host);
 *
 * and is built with one line:
 *
 *     cc -shared -fPIC -I include -o my.so my.c
 *
 * An instance goes through these calls in this order, all from one and the same thread:
 *
 *     create -> configure (once a key=value) -> ready -> start -> sample ... sample     -> stop -> destroy
 *                                                        write ... write ... flush ...
 *
 * flush comes whenever no record waits. destroy follows every create that succeeded. stop of a sampler
 * follows every start that succeeded; stop of a sink follows its last record, unless a call of it has
 * failed. What a call hands over is borrowed for the time of the call; a plugin's own table and what it
 * points to live until exit, for no library is ever unloaded. A call returns 0, a negative errno, or of
 * a sampler SEEPMETER_GONE or SEEPMETER_SKIP, and says why through the host's message. Whoever reads a
 * table reads no further than its struct_size. Records that a sampler makes have their size and kind
 * filled in. Structs without a size never grow, but for those in arrays that say how far apart they are.
 */

#ifndef SEEPMETER_PLUGIN_H
#define SEEPMETER_PLUGIN_H

#include <stdint.h>

#ifdef __cplusplus
#define SEEPMETER_EXPORT extern "C" __attribute__((visibility("default")))
#else
#define SEEPMETER_EXPORT __attribute__((visibility("default")))
#endif

/*
 * True where a record, or a table, is large enough to have the field: ask before reading one that is
 * newer than the version that the plugin was written for.
 */
#define SEEPMETER_RECORD_HAS(record, field) \
    ((uint64_t)((const char *)(&(record)->field + 1) - (const char *)(record)) <= (record)->size)
#define SEEPMETER_TABLE_HAS(table, field) \
    ((uint64_t)((const char *)(&(table)->field + 1) - (const char *)(table)) <= (table)->struct_size)

/* A string literal as bytes. */
#define SEEPMETER_TEXT(literal) { (const uint8_t *)(literal), sizeof(literal) - 1 }

/*
 The major version of this face. It is part of the entry symbol's name, and a host never calls
 into a plugin of another one.
 */
#define SEEPMETER_MAJOR 1

/*
 The minor version of this face, for display only: what there is, the tables' sizes say.
 */
#define SEEPMETER_MINOR 1

/*
 A plugin's `kind`: a sampler.
 */
#define SEEPMETER_KIND_SAMPLER 1

/*
 A plugin's `kind`: a sink.
 */
#define SEEPMETER_KIND_SINK 2

/*
 A call's result: the target has ended, which is nobody's fault.
 */
#define SEEPMETER_GONE -65537

/*
 A call's result: this one look is left out, the next is taken as usual.
 */
#define SEEPMETER_SKIP -65538

/*
 The result of `wait`: the host shall sleep.
 */
#define SEEPMETER_PLEASE_SLEEP 1

/*
 A level of `message`: why the call that now runs will fail.
 */
#define SEEPMETER_LEVEL_ERROR 1

/*
 A level of `message`: something the user should know at once.
 */
#define SEEPMETER_LEVEL_WARNING 2

/*
 A metric's `unit`: bytes.
 */
#define SEEPMETER_UNIT_BYTES 1

/*
 A metric's `unit`: things.
 */
#define SEEPMETER_UNIT_COUNT 2

/*
 A metric's `unit`: nanoseconds.
 */
#define SEEPMETER_UNIT_NANOSECONDS 3

/*
 No text and no array that goes over the line is larger than this.
 */
#define SEEPMETER_MAX_BYTES (1 << 28)

/*
 No subject, no sampler: what an id is where there is none.
 */
#define SEEPMETER_NONE UINT32_MAX

/*
 A record's `kind`: the header.
 */
#define SEEPMETER_RECORD_HEADER 1

/*
 A record's `kind`: defines a metric.
 */
#define SEEPMETER_RECORD_METRIC 2

/*
 A record's `kind`: defines a subject.
 */
#define SEEPMETER_RECORD_SUBJECT 3

/*
 A record's `kind`: one look.
 */
#define SEEPMETER_RECORD_SAMPLE 4

/*
 A record's `kind`: something happened.
 */
#define SEEPMETER_RECORD_EVENT 5

/*
 A record's `kind`: the footer.
 */
#define SEEPMETER_RECORD_FOOTER 6

/*
 A footer's `end`: the target exited; `end_value` is its status.
 */
#define SEEPMETER_END_EXITED 1

/*
 A footer's `end`: the target was killed; `end_value` is the signal.
 */
#define SEEPMETER_END_KILLED 2

/*
 A footer's `end`: the target ended, and how is not known.
 */
#define SEEPMETER_END_GONE 3

/*
 A footer's `end`: the target was still running.
 */
#define SEEPMETER_END_LEFT 4

/*
 A footer's `end`: the target's exec failed; `end_value` is the errno.
 */
#define SEEPMETER_END_NOT_STARTED 5

/*
 Some bytes. `data` may be null where `length` is 0.
 */
typedef struct seepmeter_bytes {
  /*
   The first byte.
   */
  const uint8_t *data;
  /*
   How many there are.
   */
  uint64_t length;
} seepmeter_bytes;

/*
 One option, for help. All of it UTF-8. It may grow: `Plugin.option_size` is its size.
 */
typedef struct seepmeter_option {
  /*
   Its key.
   */
  struct seepmeter_bytes key;
  /*
   Its type: `duration`, `size`, `path`, `number`, `text`, `yes|no`, the choices as `a|b`, or as `a,b`
   where several may be given.
   */
  struct seepmeter_bytes kind;
  /*
   What it does.
   */
  struct seepmeter_bytes help;
  /*
   Its default; `data` is null where there is none.
   */
  struct seepmeter_bytes default_value;
  /*
   1 where it must be given, else 0.
   */
  uint32_t required;
  /*
   Is 0.
   */
  uint32_t reserved;
} seepmeter_option;

/*
 Something that is known of a subject. This struct will never grow.
 */
typedef struct seepmeter_attr {
  /*
   Its key, UTF-8.
   */
  struct seepmeter_bytes key;
  /*
   Its value, where it is text.
   */
  struct seepmeter_bytes text;
  /*
   Its value, where it is a number.
   */
  int64_t number;
  /*
   1 where the value is `number`, 0 where it is `text`.
   */
  uint64_t is_number;
} seepmeter_attr;

/*
 Defines a thing that has metrics.
 */
typedef struct seepmeter_subject {
  /*
   Bytes in this record.
   */
  uint32_t size;
  /*
   What kind of record it is.
   */
  uint32_t kind;
  /*
   Its number in this stream.
   */
  uint32_t id;
  /*
   The subject it is a part of, or NONE.
   */
  uint32_t parent;
  /*
   What it is: `process`, `thread`, `mapping`, `stack`, or a sampler's own word. UTF-8.
   */
  struct seepmeter_bytes what;
  /*
   Its name for people.
   */
  struct seepmeter_bytes name;
  /*
   What else is known of it.
   */
  const struct seepmeter_attr *attrs;
  /*
   How many of these.
   */
  uint64_t attr_count;
} seepmeter_subject;

/*
 The value that one metric of one subject has from now on. This struct will never grow.
 */
typedef struct seepmeter_point {
  /*
   Of what.
   */
  uint32_t subject;
  /*
   Which metric.
   */
  uint32_t metric;
  /*
   How much, in the metric's unit.
   */
  int64_t value;
} seepmeter_point;

/*
 Something that happened.
 */
typedef struct seepmeter_event {
  /*
   Bytes in this record.
   */
  uint32_t size;
  /*
   What kind of record it is.
   */
  uint32_t kind;
  /*
   When, in nanoseconds since the stream's start. A sampler can't tell of what has yet to come.
   */
  uint64_t t;
  /*
   What: `exited`, `lost`, `marker`, …, or a sampler's own word. UTF-8.
   */
  struct seepmeter_bytes what;
  /*
   To which subject, or NONE.
   */
  uint32_t subject;
  /*
   By which sampler, or NONE; a sampler need not say so itself.
   */
  uint32_t sampler;
  /*
   A number that goes with it.
   */
  int64_t value;
  /*
   1 where there is such a number, else 0.
   */
  uint64_t has_value;
  /*
   Words that go with it.
   */
  struct seepmeter_bytes text;
} seepmeter_event;

/*
 What one instance may ask of the host. Every call takes the table's own `context`, and comes from
 the thread that the instance's calls come from; from another one it fails with -EPERM.
 */
typedef struct seepmeter_instance_host {
  /*
   Bytes in this table.
   */
  uint32_t struct_size;
  /*
   Is 0.
   */
  uint32_t reserved;
  /*
   Whose table it is.
   */
  void *context;
  /*
   Says something to the user, at one of the `LEVEL_`s: why the call that now
   runs will fail, or what should be known. Text that is not UTF-8 is mended.
   */
  void (*message)(void *context, uint32_t level, struct seepmeter_bytes text);
  /*
   An extension by its id, or null.
   */
  const void *(*get_extension)(void *context, const char *id);
  /*
   Of a sampler: nanoseconds since the stream's start. 0 outside of `start`, `sample`, `wait` and
   `stop`.
   */
  uint64_t (*now)(void *context);
  /*
   Of a sampler: defines a metric and stores its number. `name` and `help` are UTF-8, `unit` is one
   of the units. The same name and unit give the same number. In `start`, `sample`, `wait` and `stop`,
   as the calls below.
   */
  int32_t (*metric)(void *context,
                    struct seepmeter_bytes name,
                    uint32_t unit,
                    struct seepmeter_bytes help,
                    uint32_t *id);
  /*
   Of a sampler: defines a subject and stores its number; `subject.id` is not read.
   */
  int32_t (*subject)(void *context, const struct seepmeter_subject *subject, uint32_t *id);
  /*
   Of a sampler, within `sample`: these subjects have these values from now on.
   */
  int32_t (*points)(void *context, const struct seepmeter_point *points, uint64_t count);
  /*
   Of a sampler: something happened; `event.sampler` is not read.
   */
  int32_t (*event)(void *context, const struct seepmeter_event *event);
  /*
   Of a sampler, within `sample`: so many nanoseconds of this look have held the target up. Unless it
   is said, all of the look's time has. The budget is held against it.
   */
  int32_t (*held)(void *context, uint64_t nanoseconds);
} seepmeter_instance_host;

/*
 Whom a sampler looks at.
 */
typedef struct seepmeter_target {
  /*
   Bytes in this struct.
   */
  uint32_t struct_size;
  /*
   Its process id.
   */
  int32_t pid;
  /*
   When it started, in clock ticks since boot: field 22 of /proc/PID/stat.
   */
  uint64_t start_time;
  /*
   Its subject.
   */
  uint32_t subject;
  /*
   1 where seepmeter spawned it, else 0.
   */
  uint32_t spawned;
  /*
   Where procfs is mounted.
   */
  struct seepmeter_bytes proc_root;
  /*
   The file that a spawned target will execute; empty where that is not known. Since 1.1.
   */
  struct seepmeter_bytes executable;
} seepmeter_target;

/*
 What every record begins with.
 */
typedef struct seepmeter_record {
  /*
   Bytes in this record.
   */
  uint32_t size;
  /*
   One of the `RECORD_` kinds. Others may come; they are passed over.
   */
  uint32_t kind;
} seepmeter_record;

/*
 What a plugin is: its name, its options, its calls.
 */
typedef struct seepmeter_plugin {
  /*
   Bytes in this table.
   */
  uint32_t struct_size;
  /*
   A sampler or a sink: one of the `KIND_`s.
   */
  uint32_t kind;
  /*
   The minor version that the plugin was written for.
   */
  uint32_t minor;
  /*
   Of a sampler: 1 where its looks hold the target up, so that the budget applies.
   */
  uint32_t disturbs;
  /*
   Of a sink: how many nanoseconds a record may wait for others; 0 leaves it to the host.
   */
  uint64_t patience;
  /*
   The name that `--sampler` or `--sink` takes, UTF-8: letters, digits, `-`, `_` and `.`.
   */
  struct seepmeter_bytes name;
  /*
   The plugin's own version, UTF-8, for display only.
   */
  struct seepmeter_bytes version;
  /*
   One line that says what it does, UTF-8.
   */
  struct seepmeter_bytes about;
  /*
   Its options, for help; what is checked is what `configure` says.
   */
  const struct seepmeter_option *options;
  /*
   How many options there are.
   */
  uint64_t option_count;
  /*
   Bytes from one option to the next.
   */
  uint64_t option_size;
  /*
   An extension by its id (`seepmeter.NAME/1`, NUL-terminated), or null. May be left out.
   */
  const void *(*get_extension)(const char *id);
  /*
   Makes an instance and stores it in `instance`; null is one too. `host` lives until exit. Required.
   */
  int32_t (*create)(const struct seepmeter_instance_host *host, void **instance);
  /*
   Sets one option. May be left out: then there are none.
   */
  int32_t (*configure)(void *instance, struct seepmeter_bytes key, struct seepmeter_bytes value);
  /*
   All options are set: makes sure that the instance can work, opens its output. May be left out.
   */
  int32_t (*ready)(void *instance);
  /*
   Of a sampler, required: the target stands; defines metrics and subjects. Of a sink: not called.
   */
  int32_t (*start)(void *instance, const struct seepmeter_target *target);
  /*
   Of a sampler, required: takes one look.
   */
  int32_t (*sample)(void *instance);
  /*
   Of a sampler: waits in a way of its own for `timeout` nanoseconds, or until `wake_fd` can be
   read, which it must leave to the host. It may return earlier and is then asked again. May be left
   out, or return PLEASE_SLEEP: then the host sleeps.
   */
  int32_t (*wait)(void *instance, uint64_t timeout, int32_t wake_fd);
  /*
   Of a sink, required: takes one record. A kind that is not known is to be passed over.
   */
  int32_t (*write)(void *instance, const struct seepmeter_record *record);
  /*
   Of a sink: hands on what is buffered, now that no record waits. May be left out.
   */
  int32_t (*flush)(void *instance);
  /*
   The stream or the watching is over: completes the output, lets go of the target. May be left out;
   then a sink gets a last `flush` instead.
   */
  int32_t (*stop)(void *instance);
  /*
   Frees the instance. Required.
   */
  void (*destroy)(void *instance);
} seepmeter_plugin;

/*
 What the host tells a plugin before there is any instance.
 */
typedef struct seepmeter_host {
  /*
   Bytes in this table.
   */
  uint32_t struct_size;
  /*
   The host's minor version.
   */
  uint32_t minor;
  /*
   The host's version, UTF-8, for display only.
   */
  struct seepmeter_bytes version;
  /*
   An extension by its id (`seepmeter.NAME/1`, NUL-terminated), or null. There is none yet.
   */
  const void *(*get_extension)(const char *id);
} seepmeter_host;

/*
 The type of the entry symbol. It is `seepmeter_plugin_v1`, or `seepmeter_NAME_plugin_v1` with the
 plugin's NAME where a library must be linkable beside others. Returns null where the plugin can't
 work with this host.
 */
typedef const struct seepmeter_plugin *(*seepmeter_entry)(const struct seepmeter_host *host);

/*
 An option with its value. Both UTF-8. This struct will never grow.
 */
typedef struct seepmeter_option_pair {
  /*
   Its key.
   */
  struct seepmeter_bytes key;
  /*
   Its value.
   */
  struct seepmeter_bytes value;
} seepmeter_option_pair;

/*
 One sampler of a run. It may grow: `Header.sampler_size` is its size.
 */
typedef struct seepmeter_sampler_info {
  /*
   Its name, UTF-8.
   */
  struct seepmeter_bytes name;
  /*
   Nanoseconds from tick to tick.
   */
  uint64_t interval;
  /*
   Its options.
   */
  const struct seepmeter_option_pair *options;
  /*
   How many options.
   */
  uint64_t option_count;
} seepmeter_sampler_info;

/*
 A stream's first record.
 */
typedef struct seepmeter_header {
  /*
   Bytes in this record.
   */
  uint32_t size;
  /*
   What kind of record it is.
   */
  uint32_t kind;
  /*
   The recording format's version.
   */
  uint32_t format;
  /*
   The pid that was asked for; 0 where a command was.
   */
  int32_t pid;
  /*
   Bytes in a page.
   */
  uint64_t page_size;
  /*
   The version of the seepmeter that sampled, UTF-8.
   */
  struct seepmeter_bytes seepmeter;
  /*
   Wall-clock time of the stream's time 0, RFC 3339, UTF-8.
   */
  struct seepmeter_bytes start;
  /*
   The machine's name.
   */
  struct seepmeter_bytes host;
  /*
   The kernel's release.
   */
  struct seepmeter_bytes kernel;
  /*
   The words of the command that was asked for.
   */
  const struct seepmeter_bytes *command;
  /*
   How many words.
   */
  uint64_t command_count;
  /*
   The samplers; an event's or a sample's `sampler` is a place in this array.
   */
  const struct seepmeter_sampler_info *samplers;
  /*
   How many samplers.
   */
  uint64_t sampler_count;
  /*
   Bytes from one sampler to the next.
   */
  uint64_t sampler_size;
} seepmeter_header;

/*
 Defines a metric.
 */
typedef struct seepmeter_metric {
  /*
   Bytes in this record.
   */
  uint32_t size;
  /*
   What kind of record it is.
   */
  uint32_t kind;
  /*
   Its number in this stream.
   */
  uint32_t id;
  /*
   One of the `UNIT_`s.
   */
  uint32_t unit;
  /*
   Its name, UTF-8.
   */
  struct seepmeter_bytes name;
  /*
   One line of help, UTF-8.
   */
  struct seepmeter_bytes help;
} seepmeter_metric;

/*
 One look of one sampler.
 */
typedef struct seepmeter_sample {
  /*
   Bytes in this record.
   */
  uint32_t size;
  /*
   What kind of record it is.
   */
  uint32_t kind;
  /*
   When the look began, in nanoseconds since the stream's start.
   */
  uint64_t t;
  /*
   How long it took, in nanoseconds.
   */
  uint64_t took;
  /*
   Whose look it was.
   */
  uint32_t sampler;
  /*
   Is 0.
   */
  uint32_t reserved;
  /*
   What was seen.
   */
  const struct seepmeter_point *points;
  /*
   How many points.
   */
  uint64_t point_count;
} seepmeter_sample;

/*
 What one sink did not get. This struct will never grow.
 */
typedef struct seepmeter_lost {
  /*
   The sink, as the user named it. UTF-8.
   */
  struct seepmeter_bytes sink;
  /*
   How many samples.
   */
  uint64_t samples;
} seepmeter_lost;

/*
 A stream's last record.
 */
typedef struct seepmeter_footer {
  /*
   Bytes in this record.
   */
  uint32_t size;
  /*
   What kind of record it is.
   */
  uint32_t kind;
  /*
   When, in nanoseconds since the stream's start.
   */
  uint64_t t;
  /*
   One of the `END_`s.
   */
  uint32_t end;
  /*
   The number that goes with it.
   */
  int32_t end_value;
  /*
   Looks taken.
   */
  uint64_t samples;
  /*
   Looks that began late.
   */
  uint64_t late;
  /*
   Ticks that passed without a look.
   */
  uint64_t missed;
  /*
   CPU time that seepmeter itself took, in nanoseconds.
   */
  uint64_t cpu;
  /*
   Seepmeter's own largest resident set, in bytes.
   */
  uint64_t peak_rss;
  /*
   What sinks did not get.
   */
  const struct seepmeter_lost *lost;
  /*
   How many sinks lost any.
   */
  uint64_t lost_count;
} seepmeter_footer;

#endif  /* SEEPMETER_PLUGIN_H */
