
# The values of --sampler and --sink: names of plugins and keys of their options, which seepmeter itself lists.
_seepmeter_or_plugin() {
    local line=${COMP_LINE:0:COMP_POINT} word before value kind=
    # The word as it was typed: bash takes it apart at `=` and `:`.
    word=${line##*[[:space:]]}
    before=${line%"$word"}
    before=${before%"${before##*[![:space:]]}"}
    before=${before##*[[:space:]]}
    if [[ ${COMP_WORDS[1]} == @(run|attach|replay) && $line != *' -- '* ]]; then
        case $before in
            -s | --sampler) kind=sampler value=$word ;;
            -o | --sink) kind=sink value=$word ;;
        esac
        case $word in
            --sampler=*) kind=sampler value=${word#*=} ;;
            --sink=*) kind=sink value=${word#*=} ;;
        esac
    fi
    if [[ -z $kind ]]; then
        _seepmeter "$@"
        return
    fi
    local candidate replaced
    # Bash replaces what is behind the last character at which it takes a word apart.
    replaced=$value
    [[ $COMP_WORDBREAKS == *:* ]] && replaced=${replaced##*:}
    [[ $COMP_WORDBREAKS == *=* ]] && replaced=${replaced##*=}
    COMPREPLY=()
    while IFS=$'\t' read -r candidate _; do
        COMPREPLY+=("${candidate#"${value%"$replaced"}"}")
    done < <("${COMP_WORDS[0]}" complete "$kind" "$value" -- "${COMP_WORDS[@]:1}" 2>/dev/null)
    compopt -o nospace
}
complete -F _seepmeter_or_plugin -o bashdefault -o default seepmeter
