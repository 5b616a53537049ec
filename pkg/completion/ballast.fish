# fish completion for ballast(8)

function __ballast_pids
    for table in /dev/shm/ballast.*
        string replace -r '.*\.' '' -- $table
    end
end

set -l commands run check show plan reload upgrade stop quit reopen top events explain backend demo advise help
complete -c ballast -f
complete -c ballast -n "not __fish_seen_subcommand_from $commands" -l version -d 'print the version'
complete -c ballast -l help -d 'explain'

complete -c ballast -n __fish_use_subcommand -a run -d 'start the load balancer in the foreground'
complete -c ballast -n __fish_use_subcommand -a check -d 'read and validate a configuration file'
complete -c ballast -n __fish_use_subcommand -a show -d 'print the effective configuration'
complete -c ballast -n __fish_use_subcommand -a plan -d 'say what a reload would change'
complete -c ballast -n __fish_use_subcommand -a reload -d 'adopt the changed configuration'
complete -c ballast -n __fish_use_subcommand -a upgrade -d 'put a new version in place'
complete -c ballast -n __fish_use_subcommand -a stop -d 'stop gracefully within drain_timeout'
complete -c ballast -n __fish_use_subcommand -a quit -d 'stop gracefully without a time limit'
complete -c ballast -n __fish_use_subcommand -a reopen -d 'reopen the log files'
complete -c ballast -n __fish_use_subcommand -a top -d 'watch pools and backends live'
complete -c ballast -n __fish_use_subcommand -a events -d 'print what happened'
complete -c ballast -n __fish_use_subcommand -a explain -d 'say where a request would go'
complete -c ballast -n __fish_use_subcommand -a backend -d 'serve as a sample backend'
complete -c ballast -n __fish_use_subcommand -a demo -d 'start sample backends, the balancer and its dashboard'
complete -c ballast -n __fish_use_subcommand -a advise -d 'recommend a balancing algorithm'
complete -c ballast -n __fish_use_subcommand -a help -d 'explain a command or a topic'

complete -c ballast -n '__fish_seen_subcommand_from run check show plan reload upgrade stop quit reopen top events explain' -s c -l config -r -F -d 'configuration file'
complete -c ballast -n '__fish_seen_subcommand_from plan reload upgrade stop quit reopen top events explain' -l pid -x -a '(__ballast_pids)' -d 'process id of the master'
complete -c ballast -n '__fish_seen_subcommand_from reload upgrade stop quit reopen' -l timeout -x -a '10s 30s 1m' -d 'give up after'
complete -c ballast -n '__fish_seen_subcommand_from show plan top events explain' -l json -d 'as JSON'
complete -c ballast -n '__fish_seen_subcommand_from plan' -l exit-code -d 'status 2 if anything changes'
complete -c ballast -n '__fish_seen_subcommand_from top' -l once -d 'print once and end'
complete -c ballast -n '__fish_seen_subcommand_from top' -l interval -x -a '500ms 1s 5s' -d 'between refreshes'
complete -c ballast -n '__fish_seen_subcommand_from events' -s f -l follow -d 'wait for more'
complete -c ballast -n '__fish_seen_subcommand_from explain' -l client -x -d 'address of the client'
complete -c ballast -n '__fish_seen_subcommand_from explain' -s H -l header -x -d 'a header field'
complete -c ballast -n '__fish_seen_subcommand_from explain' -l listener -x -d 'the listener it comes to'
complete -c ballast -n '__fish_seen_subcommand_from events' -l since -x -d 'only after this number'
complete -c ballast -n '__fish_seen_subcommand_from run' -l daemon -d 'run in the background'
complete -c ballast -n '__fish_seen_subcommand_from run' -l listen -x -d 'address to listen on'
complete -c ballast -n '__fish_seen_subcommand_from run' -l backend -x -d 'backend to balance over'
complete -c ballast -n '__fish_seen_subcommand_from run' -l algorithm -x -a 'round_robin weighted_round_robin least_connections weighted_least_connections least_response_time fastest_response random power_of_two first ip_hash url_hash consistent_hash maglev' -d 'balancing algorithm'
complete -c ballast -n '__fish_seen_subcommand_from run' -l admin -x -d 'address of the admin API'
complete -c ballast -n '__fish_seen_subcommand_from run' -l workers -x -d 'number of workers'
complete -c ballast -n '__fish_seen_subcommand_from run' -l pid-file -r -F -d 'where to write the process id'
complete -c ballast -n '__fish_seen_subcommand_from run' -l debug -d 'log everything'
complete -c ballast -n '__fish_seen_subcommand_from run backend' -l host -x -a '127.0.0.1 0.0.0.0' -d 'address'
complete -c ballast -n '__fish_seen_subcommand_from run backend' -l port -x -d 'port'
complete -c ballast -n '__fish_seen_subcommand_from backend' -l ports -x -d 'several ports, such as 8001-8003'
complete -c ballast -n '__fish_seen_subcommand_from backend' -l id -x -d 'name in the answers'
complete -c ballast -n '__fish_seen_subcommand_from backend' -l delay -x -a '10ms 100ms 1s' -d 'answer after'
complete -c ballast -n '__fish_seen_subcommand_from backend' -l fail-rate -x -a '0.1 0.5' -d 'share of requests answered 500'
complete -c ballast -n '__fish_seen_subcommand_from backend' -l body-size -x -a '1k 64k 1m' -d 'bytes per answer'
complete -c ballast -n '__fish_seen_subcommand_from advise' -l homogeneous -d 'equal backends'
complete -c ballast -n '__fish_seen_subcommand_from advise' -l uneven -d 'backends of different strength'
complete -c ballast -n '__fish_seen_subcommand_from advise' -l sessions -d 'clients must keep their backend'
complete -c ballast -n '__fish_seen_subcommand_from advise' -l long -d 'long requests'
complete -c ballast -n '__fish_seen_subcommand_from advise' -l churn -d 'backends come and go'
complete -c ballast -n '__fish_seen_subcommand_from help' -a "$commands options signals exit-status"
