//! The figures of an evaluation, drawn: a row for each condition, a panel for each share, with its
//! 95 % interval.

use super::report::{Report, Row};
use super::statistics::Rate;
use crate::{Error, Result};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Pixels.
const ROW: u32 = 26;
const TOP: u32 = 56;
const BOTTOM: u32 = 30;
const PANEL: u32 = 240;
const FONT: (&str, u32) = ("sans-serif", 13);

/// They keep apart on white and on black, and for those who do not tell red from green.
const PLAIN: RGBColor = RGBColor(0x2a, 0x78, 0xd6);
const CHOICES: RGBColor = RGBColor(0xd9, 0x7b, 0x0a);
const INK: RGBColor = RGBColor(0x77, 0x77, 0x77);

/// What a panel shows.
struct Panel {
    title: &'static str,
    share: fn(&Row) -> Option<&Rate>,
}

const PANELS: [Panel; 3] = [
    Panel {
        title: "in style",
        share: |row| row.marked.as_ref(),
    },
    Panel {
        title: "loops",
        share: |row| Some(&row.loops),
    },
    Panel {
        title: "right",
        share: |row| row.right.as_ref(),
    },
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

impl Report {
    /// The figures as a picture, SVG, without a background.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] where it cannot be drawn.
    pub fn plot(&self) -> Result<String> {
        let mut svg = String::new();
        self.draw(&mut svg)
            .map_err(|e| Error::InvalidRequest(format!("the figures cannot be drawn: {e}")))?;
        Ok(svg)
    }

    fn draw(&self, svg: &mut String) -> std::result::Result<(), Box<dyn std::error::Error>> {
        let names = self.names();
        let longest = names.iter().map(|name| name.chars().count()).max();
        let left = 24 + 7 * longest.unwrap_or(0) as u32;
        let size = (
            left + PANEL * PANELS.len() as u32,
            TOP + BOTTOM + ROW * names.len() as u32,
        );
        let root = SVGBackend::with_string(svg, size).into_drawing_area();
        let ink = FONT.into_font().color(&INK);
        for (text, colour, x) in [
            ("without choices", PLAIN, left),
            ("with choices", CHOICES, left + 140),
        ] {
            let at = (x as i32 + 12, 14);
            root.draw(&Circle::new(at, 4, colour.filled()))?;
            let beside = ink.clone().pos(Pos::new(HPos::Left, VPos::Center));
            root.draw(&Text::new(text, (at.0 + 10, at.1), beside))?;
        }
        let (labels, panels) = root.split_horizontally(left);
        for (i, name) in names.iter().enumerate() {
            let at = (left as i32 - 8, (TOP + ROW * i as u32 + ROW / 2) as i32);
            let before = ink.clone().pos(Pos::new(HPos::Right, VPos::Center));
            labels.draw(&Text::new(name.as_str(), at, before))?;
        }
        for (panel, area) in PANELS.iter().zip(panels.split_evenly((1, PANELS.len()))) {
            self.draw_panel(panel, &area, &names)?;
        }
        root.present()?;
        Ok(())
    }

    fn draw_panel(
        &self,
        panel: &Panel,
        area: &Area,
        names: &[String],
    ) -> std::result::Result<(), Box<dyn std::error::Error>> {
        let ink = FONT.into_font().color(&INK);
        let centred = ink.clone().pos(Pos::new(HPos::Center, VPos::Center));
        area.draw(&Text::new(
            panel.title,
            (PANEL as i32 / 2, TOP as i32 - 14),
            centred,
        ))?;
        let rows = names.len().max(1) as f64;
        let mut chart = ChartBuilder::on(area)
            .margin_top(TOP)
            .margin_left(24)
            .margin_right(24)
            .x_label_area_size(BOTTOM)
            .build_cartesian_2d(0.0..100.0, 0.0..rows)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .x_labels(5)
            .x_max_light_lines(1)
            .x_label_formatter(&|percent: &f64| format!("{percent:.0} %"))
            .x_label_style(ink)
            .axis_style(INK.mix(0.4))
            .bold_line_style(INK.mix(0.25))
            .draw()?;
        let bars = self.rows.iter().filter_map(|row| {
            let share = (panel.share)(row)?;
            let line = names.iter().position(|name| *name == row.name)? as f64;
            let (colour, aside) = match row.choices {
                Some(true) => (CHOICES, -0.16),
                _ => (PLAIN, 0.16),
            };
            let [low, high] = share.interval.map(|share| 100.0 * share);
            let y = rows - line - 0.5 + aside;
            Some(ErrorBar::new_horizontal(
                y,
                low,
                100.0 * share.share(),
                high,
                colour.filled(),
                6,
            ))
        });
        chart.draw_series(bars)?;
        Ok(())
    }

    /// The name of each row, once.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.rows.iter().map(|row| row.name.clone()).collect();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::statistics::Mean;

    fn row(condition: &str, choices: bool, right: Option<Rate>) -> Row {
        let rate = |yes: usize| Rate::new((0..10).map(|i| i < yes)).expect("answers");
        let mean = Mean::new(&[1.0, 2.0]).expect("figures");
        Row {
            style: Some("steps".into()),
            condition: condition.into(),
            name: condition.into(),
            choices: Some(choices),
            marked: Some(rate(9)),
            loops: rate(0),
            ended: rate(5),
            tokens: mean,
            right,
            ms_per_token: None,
        }
    }

    #[test]
    fn names_every_condition_and_draws_every_share() {
        let report = Report {
            rows: vec![
                row("plain", false, None),
                row("plain", true, Rate::new([true, false].into_iter())),
                row("steps at 5 & more", false, None),
            ],
        };
        let svg = report.plot().expect("a picture");
        assert!(svg.contains("plain"));
        assert!(svg.contains("steps at 5 &amp; more"));
        // Three rows of two shares, one of them with a third; two more explain the colours.
        assert_eq!(svg.matches("<circle").count(), 3 * 2 + 1 + 2);
        assert!(Report { rows: Vec::new() }.plot().is_ok());
    }
}
