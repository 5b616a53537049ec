#compdef ballast
# zsh completion for ballast(8)

_ballast_commands() {
  local -a commands=(
    'run:start the load balancer in the foreground'
    'check:read and validate a configuration file'
    'show:print the effective configuration'
    'plan:say what a reload would change'
    'reload:adopt the changed configuration'
    'upgrade:put a new version in place'
    'stop:stop gracefully within drain_timeout'
    'quit:stop gracefully without a time limit'
    'reopen:reopen the log files'
    'top:watch pools and backends live'
    'events:print what happened'
    'explain:say where a request would go'
    'backend:serve as a sample backend'
    'load:ask for a URL again and again'
    'demo:start sample backends, the balancer and its dashboard'
    'advise:recommend a balancing algorithm'
    'help:explain a command or a topic'
  )
  _describe -t commands 'ballast command' commands
}

_ballast_pids() {
  local -a pids=(/dev/shm/ballast.*(N:e))
  _describe -t pids 'process id of a master' pids
}

_ballast() {
  local -a conf=('(-c --config)'{-c,--config}'[configuration file]:file:_files')
  local -a instance=($conf '--pid[process id of the master]:pid:_ballast_pids')
  local -a wait=('--timeout[give up after]:time:(10s 30s 1m)')
  local curcontext=$curcontext state line

  _arguments -C \
    '(- *)--version[print the version]' \
    '(- *)--help[print the commands]' \
    '1:command:_ballast_commands' \
    '*::argument:->rest' && return 0

  case $words[1] in
    run) _arguments $conf '--daemon[run in the background]' '*--listen[address to listen on]:address:' \
           '*--backend[backend to balance over]:address:' \
           '--algorithm[balancing algorithm]:name:(round_robin weighted_round_robin least_connections weighted_least_connections least_response_time fastest_response random power_of_two first ip_hash url_hash consistent_hash maglev)' \
           '--admin[address of the admin API]:address:' '--workers[number of workers]:number:' \
           '--host[address to listen on]:address:' '--port[port to listen on]:port:' \
           '--pid-file[where to write the process id]:file:_files' '--debug[log everything]' ;;
    check) _arguments $conf ;;
    show) _arguments $conf '--json[as JSON]' ;;
    plan) _arguments $instance '--json[as JSON]' '--exit-code[status 2 if anything changes]' ;;
    reload|upgrade|stop|quit|reopen) _arguments $instance $wait ;;
    top) _arguments $instance '--once[print once and end]' '--json[as JSON]' '--interval[between refreshes]:time:(500ms 1s 5s)' ;;
    events) _arguments $instance '(-f --follow)'{-f,--follow}'[wait for more]' '--since[only after this number]:number:' '--json[as JSON]' ;;
    explain) _arguments $instance '--client[address of the client]:address:' '*'{-H,--header}'[a header field]:field:' \
               '--listener[the listener it comes to]:name:' '--json[as JSON]' ':request:' ;;
    backend) _arguments '--port[port]:port:' '--ports[several ports]:ports:' '--host[address]:address:(127.0.0.1 0.0.0.0)' \
               '--id[name in the answers]:name:' '--delay[answer after]:time:(10ms 100ms 1s)' \
               '--fail-rate[share of requests answered 500]:fraction:(0.1 0.5)' '--body-size[bytes per answer]:size:(1k 64k 1m)' ;;
    load) _arguments '--url[what to ask for]:url:' {-n,--requests}'[how many]:number:' '--concurrency[how many at a time]:number:' \
            {-o,--output}'[result as JSON]:file:_files' {-X,--method}'[request method]:method:(GET HEAD POST PUT DELETE)' \
            '*'{-H,--header}'[a header field]:field:' '--timeout[for one answer]:time:(1s 5s 30s)' \
            '--close[a new connection for each request]' '--by[field that says who answered]:field:' ':url:' ;;
    advise) _arguments '(--uneven)--homogeneous[equal backends]' '(--homogeneous)--uneven[backends of different strength]' \
              '--sessions[clients must keep their backend]' '--long[long requests]' '--churn[backends come and go]' ;;
    help) _ballast_commands; _values topic options signals exit-status ;;
  esac
}

_ballast "$@"
