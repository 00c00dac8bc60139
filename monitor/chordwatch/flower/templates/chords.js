/* Draws what `/chords?json=1` tells, again every few seconds. Foreign text is shown as text: `escaped`, or textContent. */
(function ($) {
    "use strict";

    var COLOURS = {
        hung: "text-bg-danger", looping: "text-bg-danger", failed: "text-bg-danger",
        late: "text-bg-warning", waiting: "text-bg-info", ok: "text-bg-success"
    };
    var stuckOnly = false,
        latest = "",
        escaped = $.fn.dataTable.render.text().display;

    function link(url, text, title) {
        return '<a href="' + escaped(url) + '" title="' + escaped(title || "") + '">' + escaped(text) + "</a>";
    }

    // Tables sort and search by the value, and show what `draw` makes of it.
    function column(data, title, draw, more) {
        return $.extend({
            data: data,
            title: title,
            render: function (value, type, row) {
                if (type === "display" && draw) { return draw(value, row); }
                return type === "filter" && data === "rank" ? row.health : escaped(value);
            }
        }, more);
    }

    // Of an id as Celery makes it, its first part; it is told in full by the mouse and to the search.
    function short(id) { return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id) ? id.slice(0, 8) : id; }

    function words(name) {
        return function (value, row) { return '<span class="text-nowrap">' + escaped(row[name]) + "</span>"; };
    }

    function number(value) {
        return value === null ? '<span class="value-missing">?</span>' : Number(value).toLocaleString();
    }

    function table(id, columns, order, empty) {
        return $(id).DataTable({
            autoWidth: false,
            columns: columns,
            order: order,
            pageLength: 15,
            lengthMenu: [15, 30, 50, 100],
            dom: "frt<'dt-footer'lip>",
            language: {
                lengthMenu: "_MENU_",
                info: "_START_ to _END_ of _TOTAL_",
                infoEmpty: "",
                infoFiltered: "(of _MAX_)",
                search: '<span class="visually-hidden">Search</span>',
                searchPlaceholder: "Search",
                emptyTable: empty,
                zeroRecords: "Nothing matches."
            }
        });
    }

    var chords = table("#chords-table", [
        column("rank", "Health", function (rank, row) {
            return '<span class="badge ' + (COLOURS[row.health] || "text-bg-secondary") + '">' +
                escaped(row.health) + "</span>";
        }),
        column("callback", "Callback", null, {className: "chords-foreign", width: "18%"}),
        column("progress", "Counted", words("progress"), {orderable: false}),
        column("why", "Why", function (why, row) {
            return '<span title="' + escaped(row.cause) + '">' + escaped(why) + "</span>";
        }, {className: "chords-foreign", width: "36%"}),
        column("waits_for", "Waits for", null, {className: "chords-foreign", width: "16%"}),
        column("age", "Open for", words("age_words")),
        column("id", "Chord", function (id, row) {
            return row.url ? link(row.url, short(id), id) : '<span title="' + escaped(id) + '">' + escaped(short(id)) + "</span>";
        }, {className: "chords-foreign chords-id"}),
        column("tasks", "Tasks", function (tasks) {
            return tasks.map(function (task) { return link(task.url, task.label, task.state); }).join("<br>");
        }, {orderable: false, searchable: false, className: "text-nowrap"})
    ], [[0, "asc"]], "No open chords.");

    var queues = table("#chord-queues-table", [
        column("name", "Queue", null, {className: "chords-foreign", width: "30%"}),
        column("length", "Messages", number),
        column("unacked", "Unacked", number),
        column("consumers", "Consumers", number),
        column("stuck", "Stuck chords", number),
        column("oldest", "Oldest chord task", words("oldest_words"))
    ], [], "No queues are known.");

    $.fn.dataTable.ext.search.push(function (settings, searched, index, row) {
        return settings.nTable.id !== "chords-table" || !stuckOnly || row.stuck;
    });

    $("[data-chords]").on("click", function () {
        var pressed = this;
        stuckOnly = pressed.getAttribute("data-chords") === "stuck";
        $("[data-chords]").each(function () {
            $(this).toggleClass("active", this === pressed).attr("aria-pressed", this === pressed);
        });
        chords.draw();
    });

    function fill(shown, rows) {
        shown.clear().rows.add(rows).draw(false);
    }

    function show(told) {
        $("#chords-seen").text("Seen at " + new Date(told.taken_at * 1000).toLocaleTimeString() + " by " + told.looker);
        ["hung", "looping", "late", "open"].forEach(function (name) {
            $("#chords-" + name).text(Number(told.counts[name] || 0).toLocaleString());
        });
        $('[data-chords="stuck"]').text("Stuck (" + told.stuck.toLocaleString() + ")");
        chords.column(7).visible(told.chords.some(function (row) { return row.tasks.length > 0; }), false);
        $("#chords-shown").removeClass("d-none");
        fill(chords, told.chords);
        fill(queues, told.queues);
        $("#chords-notes").empty().append(told.notes.map(function (note) { return $("<li>").text(note)[0]; }));
    }

    function fail(sentence) {
        $("#chords-error").text(sentence).removeClass("d-none");
        $("#chords-dot").removeClass("status-dot-live");
        // What was seen before is old now; before anything was seen, nothing is said of chords.
        $("#chords-shown").addClass("opacity-50");
        if (!latest) { $("#chords-seen").text("Nothing seen yet"); }
    }

    function told(answer, status, request) {
        if (answer.error) { return fail(answer.error); }
        $("#chords-error").addClass("d-none");
        $("#chords-dot").addClass("status-dot-live");
        $("#chords-shown").removeClass("opacity-50");
        // Nothing moves while nothing has changed, or while somebody selects what they want to copy.
        if (request.responseText !== latest && !String(window.getSelection())) {
            latest = request.responseText;
            show(answer);
        }
        return answer.interval;
    }

    function refresh() {
        if (document.hidden) { return window.setTimeout(refresh, 1000); }
        $.ajax({url: window.location.pathname, data: {json: 1}, dataType: "json"})
            .then(told, function (request) {
                fail(request.status === 0 ? "Flower does not answer, or your login has ended: this page goes on trying, or reload it."
                    : "Flower gives no chords (" + request.status + "): reload the page.");
            })
            .always(function (interval) {
                window.setTimeout(refresh, 1000 * Math.max(2, Number(interval) || 5));
            });
    }

    refresh();
}(jQuery));
