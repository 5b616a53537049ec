# bash completion for ballast(8)

_ballast_options() {
    case $1 in
    run) echo "-c --config --daemon --listen --backend --algorithm --admin --workers --host --port --pid-file --debug --help" ;;
    check) echo "-c --config --help" ;;
    show) echo "-c --config --json --help" ;;
    plan) echo "-c --config --pid --json --exit-code --help" ;;
    reload | upgrade | stop | quit | reopen) echo "-c --config --pid --timeout --help" ;;
    top) echo "-c --config --pid --once --json --interval --help" ;;
    events) echo "-c --config --pid -f --follow --since --json --help" ;;
    explain) echo "-c --config --pid --client -H --header --listener --json --help" ;;
    backend) echo "--port --ports --host --id --delay --fail-rate --body-size --help" ;;
    load) echo "--url -n --requests --concurrency -o --output -X --method -H --header --timeout --close --by --help" ;;
    advise) echo "--homogeneous --uneven --sessions --long --churn --help" ;;
    *) echo "--help" ;;
    esac
}

_ballast() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev="" command=${COMP_WORDS[1]} words=""
    local commands="run check show plan reload upgrade stop quit reopen top events explain backend load demo advise help"
    COMPREPLY=()
    ((COMP_CWORD > 0)) && prev=${COMP_WORDS[COMP_CWORD - 1]}
    case $prev in
    -c | --config | --pid-file)
        if type compopt >/dev/null 2>&1; then compopt -o filenames 2>/dev/null; fi
        local IFS=$'\n'
        COMPREPLY=($(compgen -f -- "$cur"))
        return
        ;;
    --algorithm) words="round_robin weighted_round_robin least_connections weighted_least_connections least_response_time fastest_response random power_of_two first ip_hash url_hash consistent_hash maglev" ;;
    --pid) words=$(for t in /dev/shm/ballast.*; do [ -e "$t" ] && echo "${t##*.}"; done) ;;
    -o | --output) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    -X | --method) words="GET HEAD POST PUT DELETE" ;;
    --host) words="127.0.0.1 0.0.0.0 ::1" ;;
    --interval | --timeout | --delay) words="100ms 500ms 1s 5s 30s 1m" ;;
    --listen | --backend | --admin | --workers | --port | --ports | --id | --since | --fail-rate | --body-size | --url | -n | --requests | --concurrency | --by) return ;;
    *)
        if ((COMP_CWORD == 1)); then
            words="$commands --version --help -c -t"
        elif [ "$command" = help ]; then
            words="$commands options signals exit-status"
        else
            words=$(_ballast_options "$command")
        fi
        ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}

complete -F _ballast ballast
