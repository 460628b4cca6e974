#!/usr/bin/env bash
# A real Apache Kafka broker (3.9.2, KRaft, one node) on loopback, for tests.
#   broker.sh up RUN      starts one; its data, log and pid are in the folder RUN, its address in RUN/bootstrap
#   broker.sh down RUN    stops it (TERM, KILL after 15 s) and removes RUN; fine when none runs
#   broker.sh kill RUN    kills it at once and keeps RUN; `up` then starts it again on its port and data
#   broker.sh fetch       only fetches the jars, and prints their folder
# The jars come from Maven Central, once, into $MTF_TEST_KAFKA_CACHE (default: build/kafka-3.9.2).
# Needs java 17 or newer, mvn (for the first fetch), python3 (to choose ports).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${MTF_TEST_KAFKA_CACHE:-$here/../../build/kafka-3.9.2}

fail() { echo "broker: $*" >&2; exit 69; }

fetch() {
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    flock 9 # two tests at a time fetch once
    [ -f "$cache/complete" ] && return
    command -v mvn >/dev/null || fail "mvn is missing: scripts/deps.sh --test"
    echo "broker: fetching Apache Kafka 3.9.2 from Maven Central" >&2
    cp "$here/pom.xml" "$cache/pom.xml"
    (cd "$cache" && mvn -B -q dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=libs) \
        >"$cache/mvn.log" 2>&1 9>&- || { tail -n 20 "$cache/mvn.log" >&2; fail "cannot fetch Apache Kafka"; }
    touch "$cache/complete"
}

configure() {
    read -r port control < <(python3 -B "$here/ports.py" 2)
    cat >"$run/log4j.properties" <<L
log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d %p %c{1} %m%n
L
    cat >"$run/server.properties" <<S
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$control
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$control
advertised.listeners=PLAINTEXT://127.0.0.1:$port
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs=$run/data
auto.create.topics.enable=false
log.message.timestamp.type=LogAppendTime
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
S
    java -Xmx128m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC "-Dlog4j.configuration=file:$run/log4j.properties" \
        -cp "$cache/libs/*" kafka.tools.StorageTool format -t 4L6g3nShT-eMCtK--X86sw \
        -c "$run/server.properties" >"$run/format.log" 2>&1 || { cat "$run/format.log" >&2; fail "cannot format the data folder"; }
    echo "127.0.0.1:$port" >"$run/bootstrap"
}

answers() {
    local address=$1
    (exec 3<>"/dev/tcp/${address%:*}/${address#*:}") 2>/dev/null
}

up() {
    command -v java >/dev/null || fail "java is missing: scripts/deps.sh --test"
    fetch
    mkdir -p "$run"
    run=$(cd "$run" && pwd)
    [ -f "$run/bootstrap" ] || configure
    setsid java -Xms256m -Xmx256m -XX:+UseG1GC -XX:MaxGCPauseMillis=20 \
        "-Dlog4j.configuration=file:$run/log4j.properties" -cp "$cache/libs/*" kafka.Kafka "$run/server.properties" \
        >>"$run/broker.log" 2>&1 </dev/null 9>&- &
    echo $! >"$run/pid"
    address=$(cat "$run/bootstrap")
    for _ in $(seq 1 600); do
        kill -0 "$(cat "$run/pid")" 2>/dev/null || { tail -n 20 "$run/broker.log" >&2; fail "the broker died"; }
        if answers "$address"; then
            echo "$address"
            exit 0
        fi
        sleep 0.1
    done
    tail -n 20 "$run/broker.log" >&2
    fail "the broker does not listen after 60 s"
}

stop() {
    local signal=$1 pid
    [ -f "$run/pid" ] || return 0
    pid=$(cat "$run/pid")
    kill "-$signal" "$pid" 2>/dev/null || true
    for _ in $(seq 1 150); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
    rm -f "$run/pid"
}

if [ "$*" = fetch ]; then
    fetch
    realpath "$cache"
    exit
fi
[ $# -eq 2 ] || fail "usage: broker.sh up|down|kill RUN | fetch"
run=$2
case $1 in
up) up ;;
down)
    stop TERM
    if [ -f "$run/bootstrap" ]; then rm -rf "$run"; fi
    ;;
kill) stop KILL ;;
*) fail "usage: broker.sh up|down|kill RUN | fetch" ;;
esac
