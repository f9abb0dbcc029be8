
# The values of --sampler and --sink: names of plugins and keys of their options, which seepmeter itself lists.
function __fish_seepmeter_plugin
    set -l words (commandline -opc)
    set -l value (commandline -ct | string replace -r '^--(sampler|sink)=' '')
    $words[1] complete $argv[1] "$value" -- $words[2..-1] 2>/dev/null
end
complete -c seepmeter -n "__fish_seepmeter_using_subcommand run; or __fish_seepmeter_using_subcommand attach" -s s -l sampler -x -a "(__fish_seepmeter_plugin sampler)"
complete -c seepmeter -n "__fish_seepmeter_using_subcommand run; or __fish_seepmeter_using_subcommand attach; or __fish_seepmeter_using_subcommand replay" -s o -l sink -x -a "(__fish_seepmeter_plugin sink)"
