
# The values of --sampler and --sink: names of plugins and keys of their options, which seepmeter itself lists.
_seepmeter_plugin() {
    local -a candidates descriptions
    local line
    for line in "${(@f)$($service complete $1 "$PREFIX" -- "${(@Q)words}" 2>/dev/null)}"; do
        [[ -n $line ]] || continue
        candidates+=("${line%%$'\t'*}")
        descriptions+=("${line/$'\t'/  -- }")
    done
    if (( $#candidates )); then
        compadd -Q -S '' -d descriptions -- "${candidates[@]}"
    else
        # The value of an option, which is a file in most cases.
        compset -P '*='
        _files
    fi
}
_seepmeter_sampler() { _seepmeter_plugin sampler }
_seepmeter_sink() { _seepmeter_plugin sink }
