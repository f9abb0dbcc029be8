# What Seepmeter can do on this kernel, one line a feature: `@ FEATURE: RESULT`. Run by busybox sh in a guest of `boot`, as root, with
# seepmeter and test-target in /bin. tests/tests/kernels/ compares the lines with the table in docs/src/reliability.md.
#
# What is beside the lines is what one wants to see if a result is not as expected.

r=/tmp/r.jsonl
user=1000
printf 'root:x:0:0::/tmp:/bin/sh\nuser:x:%s:%s::/tmp:/bin/sh\n' $user $user > /etc/passwd
chmod 1777 /tmp; cd /tmp

say() { echo "@ $1: $2"; }
as_user() { su user -c "$1"; }

# watch [FLAG…] -- COMMAND: records a run; the output of the target is kept, what seepmeter says is shown if it is asked for.
# The budget is no question here: an emulated machine is ten times slower than any.
smaps=smaps,budget=50
watch() { rm -f $r; seepmeter run -q --no-summary -i 50ms --budget 100% -o jsonl,path=$r "$@" > /tmp/out 2> /tmp/err; }
samples() { grep -c '^{"sample"' $r; }
# good SAMPLES WORD…: the recording is whole, has as many samples, and each of the words.
good() {
    local least=$1 word; shift
    grep -q '^{"footer"' $r || { echo "no footer"; cat /tmp/err; return 1; }
    [ "$(samples)" -ge "$least" ] || { echo "$(samples) samples"; cat /tmp/err; return 1; }
    for word; do grep -q -e "$word" $r || { echo "no $word"; cat /tmp/err; return 1; }; done
}
works() { if "$@" >&2; then echo yes; else echo no; fi; }
# Whether a message has these words, or what it says.
told() { grep -q -e "$1" /tmp/err && echo "told: $1" || { echo "something else"; cat /tmp/err >&2; }; }
refused() { grep -q -e "$1" /tmp/err && echo "refused: $1" || { echo "something else"; cat /tmp/err >&2; }; }

# A process that runs already, its pid in $pid; it ends with its input, which is descriptor 9.
begin() { rm -f /tmp/in /tmp/ready; mkfifo /tmp/in; chmod 666 /tmp/in; "$@" < /tmp/in > /tmp/ready & exec 9> /tmp/in; until grep -q . /tmp/ready 2>/dev/null; do usleep 20000; done; pid=$!; }
end() { exec 9>&-; wait; }
# attach FLAG…: watches $pid in the background, until `seen` has seen these words in the recording: how long that takes depends on the machine.
attach() { rm -f $r; seepmeter attach -q --no-summary -i 50ms --budget 100% -o jsonl,path=$r "$@" $pid > /tmp/out 2> /tmp/err & watcher=$!; }
seen() {
    local word
    for word; do await "$word"; done
    kill $watcher; await '^{"footer"'; good 2 "$@"
}
# Waits two minutes at most for a word in the recording.
await() { local i; for i in $(seq 1 300); do grep -q -e "$1" $r 2> /dev/null && break; usleep 400000; done; }

watch -s statm -- test-target grow 8 2
say "run, statm" "$(works good 5 '"rss"' '"exited":0')"
begin test-target hold 4
attach -s statm; say "attach, statm" "$(works seen '"rss"')"
attach -s $smaps; say "attach, smaps" "$(works seen '"class":"heap"' '"pss"')"
attach -s ptrace; say "attach, ptrace" "$(works seen 'test_target::hold::run')"
end

# spawn WORD…: as attach, of a run that `seen` ends.
spawn() { rm -f $r; seepmeter run -q --no-summary -i 50ms --budget 100% -o jsonl,path=$r "$@" > /dev/null 2> /tmp/err & watcher=$!; }
spawn -s $smaps -- test-target grow 1 200
say "run, smaps" "$(works seen '"class":"anonymous"' '"pss"')"
if grep -q 'PAGEMAP_SCAN can.t be had' $r; then say "smaps reads" "smaps in pieces"; else say "smaps reads" "PAGEMAP_SCAN"; fi
spawn -s ptrace -- test-target leak 4000 1000 200
say "run, ptrace" "$(works seen 'test_target::leak::leaks\|test_target::leak::run')"

# Maps are read in no more than one part in 200 of the time, and a read takes 60 ms here, or far more on a machine that has other work.
for time in 32 64 128; do
    begin test-target leak 8000 4000 $((time + 4))
    rm -f $r; seepmeter attach -i 100ms -d ${time}s --budget 100% -s $smaps $pid > /dev/null 2> /tmp/err
    end
    share=$(sed -n 's/.* \([0-9]*\) % of it in \[heap\].*/\1/p' /tmp/err)
    [ -z "$share" ] || break
done
[ "${share:-0}" -ge 80 ] && say "a heap leak is placed in" "[heap]" || { say "a heap leak is placed in" "another place"; sed -n '/^target/,$p' /tmp/err; }

begin test-target named "a pool"
if grep -q named$ /tmp/ready && ! grep -q nameless /tmp/ready; then
    attach -s $smaps; say "named anonymous mappings" "$(works seen 'a pool')"
else say "named anonymous mappings" "not in this kernel"; fi
end
say "process events" "$(test-target process-events)"

# A cgroup of its own for each test.
echo +memory > /sys/fs/cgroup/cgroup.subtree_control
group() { g=/sys/fs/cgroup/$1; mkdir $g; echo "$3" > $g/$2; }
inside() { (echo 0 > $g/cgroup.procs; exec "$@"); }
group limited memory.max 64M
rm -f $r; inside seepmeter run -q --no-summary -o jsonl,path=$r -- true 2> /tmp/err
say "memory.max is the limit" "$(works good 0 '"limit.cgroup":67108864')"
group slowed memory.high 16M
inside seepmeter run -q --no-summary -i 100ms -d 4s --on-stop end -o jsonl,path=$r -- test-target grow 8 20 > /dev/null 2> /tmp/err
good 3 >&2 && say "above memory.high" "$(told 'was above memory.high')" || say "above memory.high" "no samples"
group killed memory.max 64M; echo 0 > $g/memory.swap.max 2>/dev/null
# All are in the group; the kernel takes who has the most.
rm -f $r; inside seepmeter run -i 50ms -o jsonl,path=$r -- test-target grow 40 10 > /dev/null 2> /tmp/err
status=$?
[ $status = 137 ] && good 3 '"killed":9' >&2 && say "an OOM kill" "$(told 'memory was short in its cgroup')" || say "an OOM kill" "status $status"
# What the sampler cgroup knows here. The target goes to a group of its own, and is killed there.
group known memory.max 64M; echo 512M > $g/memory.high; echo 8M > $g/memory.swap.max 2>/dev/null
seepmeter run -q --no-summary -i 50ms -s cgroup -o csv,layout=long,path=/tmp/known.csv -- \
    sh -c "echo 0 > $g/cgroup.procs; exec test-target grow 40 10" > /dev/null 2> /tmp/err
unknown=; for name in current peak anon file kernel shmem slab swap limit high swap_limit oom oom_kill pressure_some pressure_full; do
    grep -q "/known,cgroup_$name," /tmp/known.csv || unknown="$unknown $name"
done
grep '/known,' /tmp/known.csv | tail -20; cat /tmp/err
unknown=${unknown:- nothing}
say "cgroup, not in this kernel" "${unknown# }"
say "cgroup, an OOM kill" "$(works grep -q '/known,cgroup_oom_kill,count,1' /tmp/known.csv)"

spawn -s fds -- test-target leak-fds socket 10 200
say "run, fds" "$(works seen '"descriptor":"socket"' '"limit.descriptors"' '"name":"threads"' '"name":"mappings"')"

# A wall clock that is set while a run goes on.
rm -f $r; seepmeter run -q --no-summary -i 50ms -o jsonl,path=$r -- test-target grow 1 6 > /dev/null 2> /tmp/err & watcher=$!
now=$(date +%s)
for step in -86400 34560000 0; do usleep 1000000; date -s @$((now + step)) > /dev/null; done
wait $watcher
# Times are nanoseconds of the run: ten digits in its first ten seconds, and rising.
sed -n 's/^{"sample":{"t":\([0-9]*\),.*/\1/p' $r > /tmp/times; sort -n /tmp/times | cmp - /tmp/times >&2 && ! grep -q '[0-9]\{11\}' /tmp/times \
    && say "the wall clock is set" "$(works good 20 '"exited":0')" || say "the wall clock is set" "no"

# Rights.
begin as_user "test-target hold 4"; pid=$(pidof test-target)
chmod 666 $r; rm -f /tmp/r.jsonl /tmp/err /tmp/out
as_user "seepmeter attach -q --no-summary -d 1s -i 50ms -s statm,peak=interval -o jsonl,path=$r $pid 2>/tmp/err"
say "a user's own process" "$(works good 3 '"rss"')"
rm -f $r
su user -c "exec seepmeter attach -q --no-summary -i 50ms --budget 100% -s $smaps -o jsonl,path=$r $pid 2>/tmp/err" & watcher=$!
say "a user's own process, smaps" "$(works seen '"class":"heap"')"
rm -f /tmp/err
if [ -e /proc/sys/kernel/yama/ptrace_scope ]; then
    for scope in 1 2; do
        echo $scope > /proc/sys/kernel/yama/ptrace_scope; rm -f /tmp/err
        as_user "seepmeter attach -q -d 1s -s ptrace $pid 2>/tmp/err"
        say "ptrace_scope $scope" "$(refused "ptrace_scope is $scope")"
    done
    echo 0 > /proc/sys/kernel/yama/ptrace_scope
else say "ptrace_scope 1" "not in this kernel"; say "ptrace_scope 2" "not in this kernel"; fi
end
begin test-target hold 4; pid=$(pidof test-target)
rm -f /tmp/err; as_user "seepmeter attach -q -d 1s -s ptrace $pid 2>/tmp/err"
say "another user's process, ptrace" "$(refused 'belongs to user 0')"
rm -f /tmp/err; as_user "seepmeter attach -q -d 1s -s $smaps $pid 2>/tmp/err"
say "another user's process, smaps" "$(refused 'shown to its own user')"
mount -o remount,hidepid=2 /proc; rm -f /tmp/err
as_user "seepmeter attach -q -d 1s $pid 2>/tmp/err"; say "hidepid=2" "$(refused hidepid)"
mount -o remount,hidepid=0 /proc
echo 3 > /proc/sys/kernel/perf_event_paranoid
attach -s ptrace; say "perf_event_paranoid 3" "$(works seen 'test_target::hold::run')"
end

# The same output and the same end, with and without.
cat > /tmp/commands <<'COMMANDS'
true
exit 7
echo one; echo two >&2; exit 3
seq 1 2000 | md5sum
sort < /etc/passwd
ls -l /bin/busybox /proc/self/fd/0 | cut -c1-10
kill -KILL $$
kill -TERM $$
trap "echo caught; exit 5" USR1; kill -USR1 $$; sleep 1
seq 1 100000 | head -1
for i in 1 2 3 4 5; do (echo $i) & wait; done
ulimit -n; umask; pwd; nice
exec 3>/tmp/x; echo x >&3; cat /tmp/x
cat /etc/passwd /nowhere
nowhere; echo $?
COMMANDS
count=0; different=0
while IFS= read -r command; do
    (exec sh -c "$command" > /tmp/plain 2>&1 < /etc/passwd); plain=$?
    for sampler in statm smaps ptrace; do
        count=$((count + 1))
        (exec seepmeter run -q --no-summary -i 5ms -s $sampler -o jsonl,path=/dev/null -- sh -c "$command" > /tmp/watched 2>&1 < /etc/passwd); watched=$?
        [ $plain = $watched ] && cmp /tmp/plain /tmp/watched >&2 || { different=$((different + 1)); echo "differs under $sampler: $command ($plain, $watched)"; cat /tmp/watched; }
    done
done < /tmp/commands
[ $different = 0 ] && say "equivalence" "the same, $count of $count" || say "equivalence" "$different of $count differ"
