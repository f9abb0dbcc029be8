/*
 * The plugin ABI of Seepmeter. Made by cbindgen from crates/seepmeter-abi: change that instead.
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
 *     sampler: create -> configure (once per option) -> ready -> start -> add_target ... sample ...
 *                remove_target ... -> stop -> destroy
 *     sink:    create -> configure (once per option) -> ready -> write ... flush ... -> conclude
 *                -> stop -> destroy
 *
 * add_target and remove_target come at any time between start and stop, never within another call. flush
 * comes whenever no record waits. conclude comes once, behind the footer, unless there is no verdict.
 * destroy follows every create that succeeded. stop of a sampler follows every start that succeeded; stop
 * of a sink follows its last record, unless a call of it has failed. What a call hands over is borrowed
 * for the time of the call; a plugin's own table and what it points to live until exit, for no library is
 * ever unloaded. A call returns 0, a negative errno, or of a sampler SEEPMETER_GONE or SEEPMETER_SKIP, and
 * says why through the host's message. Whoever reads a table or a record reads no further than its
 * struct_size. A sampler fills in the struct_size and the record_kind of the records that it makes. Structs
 * without a size never grow, but for those in arrays that say how far apart they are. What is not known
 * never looks like 0: a number has a flag beside it, the data of bytes is null, an id is SEEPMETER_NONE.
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
 * True if a record or a table is large enough to have the field: ask before reading one that is newer
 * than the version that the plugin was written for.
 */
#define SEEPMETER_HAS(at, field) \
    ((uint64_t)((const char *)(&(at)->field + 1) - (const char *)(at)) <= (at)->struct_size)

/* A string literal as bytes. */
#define SEEPMETER_TEXT(literal) { (const uint8_t *)(literal), sizeof(literal) - 1 }

/*
 The major version of the plugin ABI. It is part of the entry symbol's name, and a host never calls
 into a plugin of another one.
 */
#define SEEPMETER_MAJOR 1

/*
 The minor version of the plugin ABI, for display only: what there is, the tables' sizes say.
 */
#define SEEPMETER_MINOR 0

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
 A call's result: this one sample, or this one target, is left out.
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
 A metric's `unit`: the value is the number of a stack.
 */
#define SEEPMETER_UNIT_STACK 4

/*
 A metric's `kind`: a level that rises and falls.
 */
#define SEEPMETER_METRIC_GAUGE 1

/*
 A metric's `kind`: a count of what has happened so far, which only grows.
 */
#define SEEPMETER_METRIC_COUNTER 2

/*
 A metric's `kind`: the largest value so far of something that rises and falls.
 */
#define SEEPMETER_METRIC_HIGH_WATER 3

/*
 No text and no array that is handed over is larger than this.
 */
#define SEEPMETER_MAX_BYTES (1 << 28)

/*
 No subject, no sampler, no image: what a number is if there is none.
 */
#define SEEPMETER_NONE UINT32_MAX

/*
 A `record_kind`: the header.
 */
#define SEEPMETER_RECORD_HEADER 1

/*
 A `record_kind`: defines a metric.
 */
#define SEEPMETER_RECORD_METRIC 2

/*
 A `record_kind`: defines a subject.
 */
#define SEEPMETER_RECORD_SUBJECT 3

/*
 A `record_kind`: defines a file that holds code.
 */
#define SEEPMETER_RECORD_IMAGE 4

/*
 A `record_kind`: defines an address in an image.
 */
#define SEEPMETER_RECORD_FRAME 5

/*
 A `record_kind`: defines a stack.
 */
#define SEEPMETER_RECORD_STACK 6

/*
 A `record_kind`: one sample.
 */
#define SEEPMETER_RECORD_SAMPLE 7

/*
 A `record_kind`: something happened.
 */
#define SEEPMETER_RECORD_EVENT 8

/*
 A `record_kind`: the footer.
 */
#define SEEPMETER_RECORD_FOOTER 9

/*
 How a target was named: a command that seepmeter spawned.
 */
#define SEEPMETER_TARGET_COMMAND 1

/*
 How a target was named: a process that ran already.
 */
#define SEEPMETER_TARGET_PID 2

/*
 How a target was named: a control group.
 */
#define SEEPMETER_TARGET_CGROUP 3

/*
 A target's `end`: it exited; `value` is its status.
 */
#define SEEPMETER_END_EXITED 1

/*
 A target's `end`: it was killed; `value` is the signal.
 */
#define SEEPMETER_END_KILLED 2

/*
 A target's `end`: it ended, and how is not known.
 */
#define SEEPMETER_END_GONE 3

/*
 A target's `end`: it was still running.
 */
#define SEEPMETER_END_LEFT 4

/*
 A target's `end`: its exec failed; `value` is the errno.
 */
#define SEEPMETER_END_NOT_STARTED 5

/*
 Some bytes. `data` may be null if `length` is 0; if the bytes may be unknown, null says that they are.
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
   if several may be given.
   */
  struct seepmeter_bytes kind;
  /*
   What it does.
   */
  struct seepmeter_bytes help;
  /*
   Its default; `data` is null if there is none.
   */
  struct seepmeter_bytes default_value;
  /*
   1 if it must be given, else 0.
   */
  uint32_t required;
  /*
   Is 0.
   */
  uint32_t reserved;
} seepmeter_option;

/*
 Defines a metric: one quantity of one kind of subject, as one sampler measures it.
 */
typedef struct seepmeter_metric {
  /*
   Bytes in this record.
   */
  uint32_t struct_size;
  /*
   Is RECORD_METRIC.
   */
  uint32_t record_kind;
  /*
   Its number in this stream.
   */
  uint32_t id;
  /*
   Which sampler measures it.
   */
  uint32_t sampler;
  /*
   What its integers count: one of the `UNIT_`s.
   */
  uint32_t unit;
  /*
   How its values relate to each other: one of the `METRIC_`s.
   */
  uint32_t kind;
  /*
   Its name, UTF-8.
   */
  struct seepmeter_bytes name;
  /*
   Of which kind of subject it is: see `Subject.kind`. UTF-8.
   */
  struct seepmeter_bytes subject_kind;
  /*
   One line of help, UTF-8.
   */
  struct seepmeter_bytes help;
} seepmeter_metric;

/*
 Something that is known of a subject. This struct will never grow.
 */
typedef struct seepmeter_attribute {
  /*
   Its key, UTF-8.
   */
  struct seepmeter_bytes key;
  /*
   Its value, if it is text.
   */
  struct seepmeter_bytes text;
  /*
   Its value, if it is a number.
   */
  int64_t number;
  /*
   1 if the value is `number`, 0 if it is `text`.
   */
  uint64_t is_number;
} seepmeter_attribute;

/*
 Defines a thing that has metrics.
 */
typedef struct seepmeter_subject {
  /*
   Bytes in this record.
   */
  uint32_t struct_size;
  /*
   Is RECORD_SUBJECT.
   */
  uint32_t record_kind;
  /*
   Its number in this stream.
   */
  uint32_t id;
  /*
   The subject it is a part of, or NONE.
   */
  uint32_t parent;
  /*
   What it is: `process`, `thread`, `mapping`, `mapping-group`, `stack`, …, or a sampler's own word.
   UTF-8.
   */
  struct seepmeter_bytes kind;
  /*
   Its name for people.
   */
  struct seepmeter_bytes name;
  /*
   What else is known of it.
   */
  const struct seepmeter_attribute *attributes;
  /*
   How many attributes.
   */
  uint64_t attribute_count;
} seepmeter_subject;

/*
 Defines a file that holds code.
 */
typedef struct seepmeter_image {
  /*
   Bytes in this record.
   */
  uint32_t struct_size;
  /*
   Is RECORD_IMAGE.
   */
  uint32_t record_kind;
  /*
   Its number in this stream.
   */
  uint32_t id;
  /*
   Is 0.
   */
  uint32_t reserved;
  /*
   Its path as the target has it, or what the kernel calls it (`[vdso]`).
   */
  struct seepmeter_bytes path;
  /*
   Its build-id in hexadecimal digits, UTF-8; `data` is null if it has none.
   */
  struct seepmeter_bytes build_id;
} seepmeter_image;

/*
 A call that the compiler has inlined. This struct will never grow.
 */
typedef struct seepmeter_inlined_call {
  /*
   The function that was inlined.
   */
  struct seepmeter_bytes function;
  /*
   The source file; `data` is null if it is not known.
   */
  struct seepmeter_bytes file;
  /*
   The line in that file, from 1; 0 if it is not known.
   */
  uint32_t line;
  /*
   Is 0.
   */
  uint32_t reserved;
} seepmeter_inlined_call;

/*
 Defines an address in an image, and what is there.
 */
typedef struct seepmeter_frame {
  /*
   Bytes in this record.
   */
  uint32_t struct_size;
  /*
   Is RECORD_FRAME.
   */
  uint32_t record_kind;
  /*
   Its number in this stream.
   */
  uint32_t id;
  /*
   Where it is, or NONE for code that is in no file.
   */
  uint32_t image;
  /*
   The address in the image, as its symbols count addresses; of code that is in no file, the address
   in memory.
   */
  uint64_t address;
  /*
   The function; `data` is null if its name is not known.
   */
  struct seepmeter_bytes function;
  /*
   The source file; `data` is null if it is not known.
   */
  struct seepmeter_bytes file;
  /*
   The line in that file, from 1; 0 if it is not known.
   */
  uint32_t line;
  /*
   Is 0.
   */
  uint32_t reserved;
  /*
   The calls that the compiler has inlined here, the innermost first. The function above is the
   outermost, which is the one that really was called.
   */
  const struct seepmeter_inlined_call *inlined;
  /*
   How many inlined calls.
   */
  uint64_t inlined_count;
} seepmeter_frame;

/*
 Defines a stack.
 */
typedef struct seepmeter_stack {
  /*
   Bytes in this record.
   */
  uint32_t struct_size;
  /*
   Is RECORD_STACK.
   */
  uint32_t record_kind;
  /*
   Its number in this stream.
   */
  uint32_t id;
  /*
   Is 0.
   */
  uint32_t reserved;
  /*
   The numbers of its frames, the innermost first.
   */
  const uint32_t *frames;
  /*
   How many frames.
   */
  uint64_t frame_count;
  /*
   Why it ends before the outermost frame; `data` is null if it does not.
   */
  struct seepmeter_bytes truncated;
} seepmeter_stack;

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
  uint32_t struct_size;
  /*
   Is RECORD_EVENT.
   */
  uint32_t record_kind;
  /*
   When, in nanoseconds since the stream's start. Of a sampler's event it is not in the future.
   */
  uint64_t t;
  /*
   What: `exited`, `dropped`, `marker`, …, or a sampler's own word. UTF-8. Which number and which text
   each has stands in the book, in the chapter on the recording format.
   */
  struct seepmeter_bytes kind;
  /*
   To which subject, or NONE.
   */
  uint32_t subject;
  /*
   To, or by, which sampler, or NONE.
   */
  uint32_t sampler;
  /*
   The number of the event's kind, if it has one.
   */
  int64_t number;
  /*
   1 if there is a number, else 0.
   */
  uint64_t has_number;
  /*
   The text of the event's kind; `data` is null if there is none.
   */
  struct seepmeter_bytes text;
} seepmeter_event;

/*
 What one instance may ask of the host. Every call takes the table's own `context`, and comes from
 the thread that the instance's calls come from; from another one it fails with -EPERM.

 A record that the host refuses fails with -EINVAL, and the call that handed it over fails whatever it
 returns.
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
   Says something to the user, at one of the `LEVEL_`s: why the call that now runs will fail, or
   what should be known. What is not UTF-8 in the text is replaced.
   */
  void (*message)(void *context, uint32_t level, struct seepmeter_bytes text);
  /*
   An extension by its id, or null.
   */
  const void *(*get_extension)(void *context, const char *id);
  /*
   Of a sampler: nanoseconds since the stream's start. From here on, all calls are for `start`,
   `add_target`, `remove_target`, `sample`, `wait` and `stop`; outside of these the time is 0.
   */
  uint64_t (*now)(void *context);
  /*
   Of a sampler: defines a metric and stores its number. `metric.id` and `metric.sampler` are not
   read. The same name, unit, kind and kind of subject give the same number.
   */
  int32_t (*metric)(void *context, const struct seepmeter_metric *metric, uint32_t *id);
  /*
   Of a sampler: defines a subject and stores its number; `subject.id` is not read.
   */
  int32_t (*subject)(void *context, const struct seepmeter_subject *subject, uint32_t *id);
  /*
   Of a sampler: defines a file that holds code and stores its number; `image.id` is not read.
   */
  int32_t (*image)(void *context, const struct seepmeter_image *image, uint32_t *id);
  /*
   Of a sampler: defines an address in an image and stores its number; `frame.id` is not read.
   */
  int32_t (*frame)(void *context, const struct seepmeter_frame *frame, uint32_t *id);
  /*
   Of a sampler: defines a stack and stores its number; `stack.id` is not read.
   */
  int32_t (*stack)(void *context, const struct seepmeter_stack *stack, uint32_t *id);
  /*
   Of a sampler, within `sample`: these subjects have these values from now on.
   */
  int32_t (*points)(void *context, const struct seepmeter_point *points, uint64_t count);
  /*
   Of a sampler, within `sample`: the sample covers only some of the sampler's subjects: those that
   it has points of, whether they have changed or not. The others were not observed.
   */
  int32_t (*partial)(void *context);
  /*
   Of a sampler, within `sample`: the target was paused or blocked for so many nanoseconds for this
   sample. Unless it is said, that is all of the sample's time. The budget is charged with it.
   */
  int32_t (*paused)(void *context, uint64_t nanoseconds);
  /*
   Of a sampler: something happened; `event.sampler` is not read. An event that ends a subject ends
   all that is a part of it, and from the next call on the sampler must not name them any more; but
   one that ends a subject which has ended already is passed over.
   */
  int32_t (*event)(void *context, const struct seepmeter_event *event);
  /*
   Of a sampler: keeps it alive after the run until its `stop` returns, since the targets need it.
   `reason` is for the user, UTF-8.
   */
  int32_t (*keep_alive)(void *context, struct seepmeter_bytes reason);
} seepmeter_instance_host;

/*
 A process to observe.
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
   1 if seepmeter spawned it, else 0.
   */
  uint32_t spawned;
  /*
   Where procfs is mounted.
   */
  struct seepmeter_bytes proc_root;
  /*
   The file that a spawned target will execute; `data` is null if that is not known.
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
  uint32_t struct_size;
  /*
   One of the `RECORD_`s. Others may come; they are passed over.
   */
  uint32_t record_kind;
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
   Of a sampler: 1 if its samples pause or block the target, so that the budget applies.
   */
  uint32_t pauses;
  /*
   Of a sink: how many nanoseconds a record may wait for others; 0 leaves it to the host.
   */
  uint64_t max_batch_delay;
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
   Sets one option; both texts are UTF-8. May be left out: then there are none.
   */
  int32_t (*configure)(void *instance, struct seepmeter_bytes key, struct seepmeter_bytes value);
  /*
   All options are set: makes sure that the instance can work, opens its output. May be left out.
   */
  int32_t (*ready)(void *instance);
  /*
   Of a sampler, required: the stream begins; defines metrics.
   */
  int32_t (*start)(void *instance);
  /*
   Of a sampler, required: a target has come; defines its subjects. A spawned target is held before
   its exec and runs none of its own code until all samplers have it.
   */
  int32_t (*add_target)(void *instance, const struct seepmeter_target *target);
  /*
   Of a sampler, required: the target of this subject is watched no more; lets go of it. The host ends
   the subject, and with it all that is a part of it.
   */
  int32_t (*remove_target)(void *instance, uint32_t subject);
  /*
   Of a sampler, required: takes one sample of all targets.
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
   Of a sink: takes the verdict on the run, behind the footer. `json` is UTF-8, one JSON object: in
   `metrics`, for each metric that is judged, its `verdicts` as docs/verdict.schema.json describes
   them, one for each target and the sum of several as the last, or why there is `no_verdict`; in
   `gates`, what each gate found. Fields may be added. May be left out.
   */
  int32_t (*conclude)(void *instance, struct seepmeter_bytes json);
  /*
   The stream is over: completes the output, lets go of all targets. May be left out; then a sink
   gets a last `flush` instead.
   */
  int32_t (*stop)(void *instance);
  /*
   Frees the instance. Required.
   */
  void (*destroy)(void *instance);
} seepmeter_plugin;

/*
 What the host says of itself before there is any instance.
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
 plugin's NAME for a library that must be linkable beside others. Returns null if the plugin can't
 work with this host.
 */
typedef const struct seepmeter_plugin *(*seepmeter_entry)(const struct seepmeter_host *host);

/*
 One target of a run. It may grow: `Header.target_size` is its size.
 */
typedef struct seepmeter_target_info {
  /*
   Its subject, which is defined behind the header.
   */
  uint32_t subject;
  /*
   How the user named it: one of the `TARGET_`s.
   */
  uint32_t origin;
  /*
   The pid, if it was named by that.
   */
  int32_t pid;
  /*
   Is 0.
   */
  uint32_t reserved;
  /*
   The path below the mount point of cgroups, if it was named by that.
   */
  struct seepmeter_bytes cgroup;
  /*
   The words of the command, if it was named by that.
   */
  const struct seepmeter_bytes *command;
  /*
   How many words.
   */
  uint64_t command_count;
} seepmeter_target_info;

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
   Nanoseconds from tick to tick; with the interval `auto`, whose ticks are denser at first, the longest.
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
  uint32_t struct_size;
  /*
   Is RECORD_HEADER.
   */
  uint32_t record_kind;
  /*
   The recording format's version.
   */
  uint32_t format;
  /*
   Is 0.
   */
  uint32_t reserved;
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
   Which boot of the machine it was, UTF-8; `data` is null if that is not known. Start times of
   processes are comparable within one boot only.
   */
  struct seepmeter_bytes boot_id;
  /*
   What is watched from the start. A target that comes later is announced by an event `attached`.
   */
  const struct seepmeter_target_info *targets;
  /*
   How many targets.
   */
  uint64_t target_count;
  /*
   Bytes from one target to the next.
   */
  uint64_t target_size;
  /*
   The samplers; a record's `sampler` is a place in this array.
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
 One observation by one sampler.
 */
typedef struct seepmeter_sample {
  /*
   Bytes in this record.
   */
  uint32_t struct_size;
  /*
   Is RECORD_SAMPLE.
   */
  uint32_t record_kind;
  /*
   When it began, in nanoseconds since the stream's start.
   */
  uint64_t t;
  /*
   How long it took, in nanoseconds.
   */
  uint64_t duration;
  /*
   Whose it is.
   */
  uint32_t sampler;
  /*
   1 if it covers only some of the sampler's subjects, else 0. Those without a point in it were not
   observed then.
   */
  uint32_t partial;
  /*
   What was observed.
   */
  const struct seepmeter_point *points;
  /*
   How many points.
   */
  uint64_t point_count;
} seepmeter_sample;

/*
 What became of one target. This struct will never grow.
 */
typedef struct seepmeter_target_end {
  /*
   Which target.
   */
  uint32_t subject;
  /*
   One of the `END_`s.
   */
  uint32_t end;
  /*
   The number that goes with it.
   */
  int32_t value;
  /*
   Is 0.
   */
  uint32_t reserved;
} seepmeter_target_end;

/*
 The samples that one sink did not get. This struct will never grow.
 */
typedef struct seepmeter_dropped {
  /*
   The sink, as the user named it. UTF-8.
   */
  struct seepmeter_bytes sink;
  /*
   How many samples.
   */
  uint64_t samples;
} seepmeter_dropped;

/*
 A stream's last record.
 */
typedef struct seepmeter_footer {
  /*
   Bytes in this record.
   */
  uint32_t struct_size;
  /*
   Is RECORD_FOOTER.
   */
  uint32_t record_kind;
  /*
   When, in nanoseconds since the stream's start.
   */
  uint64_t t;
  /*
   What became of each target.
   */
  const struct seepmeter_target_end *ends;
  /*
   How many targets.
   */
  uint64_t end_count;
  /*
   Samples taken, of all samplers.
   */
  uint64_t samples;
  /*
   Samples that began more than half an interval after their tick.
   */
  uint64_t late;
  /*
   Ticks that passed without a sample.
   */
  uint64_t missed;
  /*
   The samples that sinks did not get, for those that missed any.
   */
  const struct seepmeter_dropped *dropped;
  /*
   How many such sinks.
   */
  uint64_t dropped_count;
  /*
   CPU time that seepmeter itself used, in nanoseconds.
   */
  uint64_t cpu;
  /*
   Seepmeter's own largest resident set, in bytes.
   */
  uint64_t peak_rss;
  /*
   1 if `cpu` is known, else 0.
   */
  uint32_t has_cpu;
  /*
   1 if `peak_rss` is known, else 0.
   */
  uint32_t has_peak_rss;
} seepmeter_footer;

#endif  /* SEEPMETER_PLUGIN_H */
