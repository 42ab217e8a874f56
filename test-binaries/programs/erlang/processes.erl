%% A hundred thousand processes at once, messages, links and monitors, timers, ets, and files.
-module(processes).
-export([start/0]).

start() ->
    io:format("ring ~p~n", [ring(1000, 20)]),
    io:format("many ~p~n", [many(100000)]),
    io:format("parallel ~p~n", [parallel(8)]),
    io:format("monitor ~p~n", [monitors()]),
    io:format("timers ~p~n", [timers(1000)]),
    io:format("table ~p~n", [table(50)]),
    io:format("file ~p~n", [file()]),
    halt(7).

%% A message goes round a ring of processes.
ring(Size, Rounds) ->
    Self = self(),
    First = lists:foldl(fun(_, Next) -> spawn_link(fun() -> forward(Next) end) end, Self, lists:seq(1, Size)),
    go_round(First, Rounds, 0).

go_round(_, 0, Sum) -> Sum;
go_round(First, Rounds, Sum) ->
    First ! {token, 0},
    receive {token, Count} -> go_round(First, Rounds - 1, Sum + Count) after 60000 -> lost end.

forward(Next) ->
    receive {token, Count} -> Next ! {token, Count + 1}, forward(Next) end.

%% All are alive at the same time, and each answers.
many(Count) ->
    Self = self(),
    Pids = [spawn(fun() -> receive {add, N} -> Self ! {sum, N + 1} end end) || _ <- lists:seq(1, Count)],
    Alive = erlang:system_info(process_count) >= Count,
    [Pid ! {add, 1} || Pid <- Pids],
    {Alive, lists:foldl(fun(_, Sum) -> receive {sum, N} -> Sum + N after 60000 -> exit(lost) end end, 0, Pids)}.

parallel(Count) ->
    Self = self(),
    [spawn(fun() -> Self ! {fib, fib(18)} end) || _ <- lists:seq(1, Count)],
    lists:sum([receive {fib, N} -> N after 60000 -> exit(lost) end || _ <- lists:seq(1, Count)]).

fib(N) when N < 2 -> N;
fib(N) -> fib(N - 1) + fib(N - 2).

monitors() ->
    {_, Reference} = spawn_monitor(fun() -> exit(because) end),
    receive {'DOWN', Reference, process, _, Reason} -> Reason after 60000 -> lost end.

timers(Count) ->
    [erlang:send_after(N rem 50, self(), tick) || N <- lists:seq(1, Count)],
    lists:sum([receive tick -> 1 after 60000 -> exit(lost) end || _ <- lists:seq(1, Count)]).

table(Count) ->
    Table = ets:new(counts, [public, {write_concurrency, true}]),
    Self = self(),
    [spawn(fun() ->
        [ets:update_counter(Table, N rem 7, 1, {N rem 7, 0}) || N <- lists:seq(1, 100)],
        Self ! done
    end) || _ <- lists:seq(1, Count)],
    [receive done -> ok after 60000 -> exit(lost) end || _ <- lists:seq(1, Count)],
    lists:sum([N || {_, N} <- ets:tab2list(Table)]).

file() ->
    Name = "/tmp/husk-erlang",
    ok = file:write_file(Name, <<"some text">>),
    {ok, Bytes} = file:read_file(Name),
    ok = file:delete(Name),
    {Bytes, element(2, file:read_file(Name))}.
